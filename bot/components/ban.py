"""A ban, by `/mod ban` or by the form that opens from a member's menu."""

from __future__ import annotations

from typing import Any

import discord
from sqlalchemy.orm import Session

from bot.components.cancel import may_moderate
from bot.components.custom_ids import CustomId
from bot.components.modals import PROMPT, Form, SubmittedForm, field, on_submit
from bot.components.press import Interaction, host
from bot.components.responses import defer_if_slow, respond
from bot.messages import finding, panels
from prompts.translation import N_, _
from storage import database, moderation
from storage.tables import Ban

HOUR_MS = 3_600_000
LASTS = {N_("1 hour"): 1, N_("1 day"): 24, N_("1 week"): 7 * 24, N_("4 weeks"): 28 * 24}
"""Choices of a ban's length, in hours; for good where none is chosen."""
REASON_LENGTH = 400
_LASTS_FIELD = field("lasts", finding.ban_lasts, {str(hours): name for name, hours in LASTS.items()})


def may_be_banned(interaction: Interaction, user: discord.User | discord.Member) -> bool:
    return not user.bot and user.id != interaction.user.id


async def ban(interaction: Interaction, member_id: int, reason: str, hours: int | None) -> None:
    """Ban a member in this guild (None: for good), and answer."""
    guild_id, by = interaction.guild_id, interaction.user.id
    assert guild_id is not None

    def change(session: Session) -> Ban:
        expires_at = None if hours is None else database.now(session) + hours * HOUR_MS
        return moderation.ban(
            session, member_id=member_id, guild_id=guild_id, by=by, reason=reason, expires_at=expires_at
        )

    made = await defer_if_slow(interaction, host(interaction).backends.database.write(change), ephemeral=True)
    await respond(interaction, panels.banned(member_id, made), ephemeral=True)


def ban_form(member_id: int, name: str) -> Form:
    """Asks why and for how long."""
    title, label = finding.ban_title(name), finding.ban_reason()
    return Form(CustomId("fb", member_id), title, "", label, (_lasts,))


def _lasts() -> discord.ui.Label[Any]:
    options = [discord.SelectOption(label=_(name), value=str(hours)) for name, hours in LASTS.items()]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id=_LASTS_FIELD, options=options, required=False, min_values=0
    )
    return discord.ui.Label(text=finding.ban_lasts(), description=finding.ban_for_good(), component=menu)


@on_submit("fb")
async def _submitted(submitted: SubmittedForm) -> None:
    may_moderate(submitted.interaction)
    reason = submitted.text(PROMPT).strip()[:REASON_LENGTH]
    hours = [hours for hours in LASTS.values() if str(hours) in submitted.chosen(_LASTS_FIELD)]
    await ban(submitted.interaction, submitted.id, reason, hours[0] if hours else None)
