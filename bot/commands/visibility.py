"""`/stealth` and `/public`: one setting, who sees a member's new pictures."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction
from bot.components.settings import choose
from bot.messages import preferences
from prompts.translation import N_


@app_commands.command(description=N_("Make your new pictures for your eyes (and the moderators') only"))
async def stealth(interaction: Interaction) -> None:
    await choose(interaction, "stealth", True, preferences.stealth_set(True))


@app_commands.command(description=N_("Make your new pictures where everybody sees them"))
async def public(interaction: Interaction) -> None:
    await choose(interaction, "stealth", None, preferences.stealth_set(False))
