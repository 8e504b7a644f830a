"""`/describe`: a picture in, four prompts out."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.components import describe as describes
from bot.components.describe import OneSource
from bot.components.press import Interaction
from prompts.translation import N_


@app_commands.command(description=N_("Find four prompts for a picture"))
@app_commands.describe(
    image=N_("The picture: PNG, JPEG, WebP, GIF, AVIF or HEIC"), link=N_("Or its address on the web")
)
async def describe(
    interaction: Interaction, image: discord.Attachment | None = None, link: str | None = None
) -> None:
    given = [source for source in (image, link) if source is not None]
    if len(given) != 1:
        raise OneSource(len(given))
    await describes.describe(interaction, given[0])
