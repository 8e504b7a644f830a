"""`/blend`: two to five pictures in, four pictures of what they show together."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.readings import DIMENSIONS
from bot.views import describes
from bot.views.press import Interaction


@app_commands.command(description="Blend two to five pictures into new ones")
@app_commands.describe(
    image1="The first picture",
    image2="The second picture",
    image3="A third picture",
    image4="A fourth picture",
    image5="A fifth picture",
    dimensions="The shape of the new pictures; Square unless you say otherwise",
)
@app_commands.choices(
    dimensions=[
        app_commands.Choice(name=f"{name} ({ratio})", value=name) for name, ratio in DIMENSIONS.items()
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
    await describes.blend(interaction, images, dimensions)
