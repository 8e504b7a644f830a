"""`/show`: one of a member's own jobs again, here and with fresh buttons."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction
from bot.components.show import show_again
from prompts.translation import N_

JobNumber = app_commands.Range[int, 1, 2**53 - 1]
"""Up to Discord's largest integer option."""


@app_commands.command(description=N_("Post one of your jobs again, with fresh buttons"))
@app_commands.describe(job_id=N_("Its number: the last part of the picture's file name"))
async def show(interaction: Interaction, job_id: JobNumber) -> None:
    await show_again(interaction, job_id)
