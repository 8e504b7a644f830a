"""`/queue`: what a member has waiting and running, with a button to stop each."""

from __future__ import annotations

from discord import app_commands

from bot.views.answering import in_time, show_privately
from bot.views.press import Interaction, host
from bot.views.queues import Queue, own_queue
from prompts.translation import N_


@app_commands.command(description=N_("Your waiting and running jobs, with a button to stop each"))
async def queue(interaction: Interaction) -> None:
    work = host(interaction).backends.database.read(Queue.of_member, interaction.user.id)
    await show_privately(interaction, own_queue(await in_time(interaction, work, ephemeral=True)))
