"""`/queue`: what a member has waiting and running, with a button to stop each."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction, host
from bot.components.queue import Queue, own_queue
from bot.components.responses import defer_if_slow, show_privately
from prompts.translation import N_


@app_commands.command(description=N_("Your waiting and running jobs, with a button to stop each"))
async def queue(interaction: Interaction) -> None:
    work = host(interaction).backends.database.read(Queue.of_member, interaction.user.id)
    await show_privately(interaction, own_queue(await defer_if_slow(interaction, work, ephemeral=True)))
