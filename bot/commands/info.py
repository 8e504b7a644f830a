"""`/info`: a member's modes and totals, their queue, and links to their newest pictures."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction, host
from bot.components.queue import info as panel
from bot.components.queue import read_info
from bot.components.responses import defer_if_slow, show_privately
from prompts.translation import N_


@app_commands.command(description=N_("Your modes, what you have made, your jobs and your last pictures"))
async def info(interaction: Interaction) -> None:
    work = host(interaction).backends.database.write(
        read_info, interaction.user.id, interaction.user.display_name
    )
    await show_privately(interaction, panel(await defer_if_slow(interaction, work, ephemeral=True)))
