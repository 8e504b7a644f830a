"""`/help`: three pages on what to type, which flags there are, and what the buttons do."""

from __future__ import annotations

from discord import app_commands

from bot.components.help_pages import help_page, picture
from bot.components.press import Interaction, host
from bot.components.responses import show_privately
from prompts.translation import N_


@app_commands.command(
    name="help", description=N_("How to draw, the flags, and what the buttons and commands do")
)
async def help_command(interaction: Interaction) -> None:
    await show_privately(interaction, help_page(0, host(interaction).backends.catalog), [picture(0)])
