"""`/privacy`: a member's data, handed out and deleted."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction, host
from bot.components.privacy import question, read_amounts, send_export
from bot.components.responses import defer_if_slow, show_privately
from prompts.translation import N_

privacy = app_commands.Group(
    name="privacy", description=N_("What Easel keeps about you: get it, or delete it")
)


@privacy.command(
    description=N_("Everything that is stored about you, your original pictures and movies, as ZIP files")
)
async def export(interaction: Interaction) -> None:
    await send_export(interaction)


@privacy.command(description=N_("Delete your prompts, pictures, settings and favorites; asks once more"))
async def delete(interaction: Interaction) -> None:
    work = host(interaction).backends.database.read(read_amounts, interaction.user.id)
    jobs, images = await defer_if_slow(interaction, work, ephemeral=True)
    await show_privately(interaction, question(interaction.user.id, jobs, images))
