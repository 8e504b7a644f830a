"""`/settings`: what a member's commands take where they do not say."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction, host
from bot.components.responses import defer_if_slow, show_privately
from bot.components.settings import settings as panel
from prompts.translation import N_
from storage import members, offers


@app_commands.command(description=N_("Your default model, ratio, modes and speed"))
async def settings(interaction: Interaction) -> None:
    backends = host(interaction).backends
    work = backends.database.write(members.member, interaction.user.id)
    member = await defer_if_slow(interaction, work, ephemeral=True)
    catalog = await backends.database.read(offers.offered, backends.catalog, interaction.guild_id)
    await show_privately(interaction, panel(member.settings, catalog))
