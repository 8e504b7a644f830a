"""`/blend`: two to five pictures in, four pictures of what they show together."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.components import describe
from bot.components.press import Interaction
from prompts.translation import N_


@app_commands.command(description=N_("Blend two to five pictures into new ones"))
@app_commands.describe(
    image1=N_("The first picture"),
    image2=N_("The second picture"),
    image3=N_("A third picture"),
    image4=N_("A fourth picture"),
    image5=N_("A fifth picture"),
    dimensions=N_("The shape of the new pictures; Square unless you say otherwise"),
)
@app_commands.choices(
    dimensions=[
        app_commands.Choice(name=N_("Portrait (2:3)"), value="Portrait"),
        app_commands.Choice(name=N_("Square (1:1)"), value="Square"),
        app_commands.Choice(name=N_("Landscape (3:2)"), value="Landscape"),
    ]
)
async def blend(
    interaction: Interaction,
    image1: discord.Attachment,
    image2: discord.Attachment,
    image3: discord.Attachment | None = None,
    image4: discord.Attachment | None = None,
    image5: discord.Attachment | None = None,
    dimensions: str = "Square",
) -> None:
    images = [image for image in (image1, image2, image3, image4, image5) if image is not None]
    await describe.blend(interaction, images, dimensions)
