"""The pages of `/mod audit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from sqlalchemy.orm import Session

from bot.components.cancel import may_moderate
from bot.components.press import Pressed, button, on_press
from bot.components.responses import defer_if_slow, update
from bot.messages import panels
from prompts.translation import _
from storage import moderation
from storage.tables import AuditEntry

PAGE = 10


def read_audit(session: Session, guild_id: int, before: int | None = None) -> list[AuditEntry]:
    """A page of entries and, where there is one, the first of the next page."""
    return moderation.entries(session, guild_id, before, PAGE + 1)


def audit(entries: Sequence[AuditEntry]) -> discord.ui.LayoutView:
    """A page of the log as `read_audit` found it, with buttons to older entries and back to the newest."""
    shown = entries[:PAGE]
    view = discord.ui.LayoutView(timeout=None)
    box: discord.ui.Container[Any] = discord.ui.Container(discord.ui.TextDisplay(panels.audit(shown)))
    view.add_item(box)
    older = button("ma", shown[-1].id if shown else 0, label=_("Older"), disabled=len(entries) <= PAGE)
    view.add_item(discord.ui.ActionRow(button("mn", 0, label=_("Newest")), older))
    return view


async def _turn(pressed: Pressed, before: int | None) -> None:
    may_moderate(pressed.interaction)
    guild_id = pressed.interaction.guild_id
    assert guild_id is not None
    work = pressed.backends.database.read(read_audit, guild_id, before)
    await update(pressed.interaction, audit(await defer_if_slow(pressed.interaction, work, thinking=False)))


@on_press("ma")
async def _older(pressed: Pressed) -> None:
    await _turn(pressed, pressed.id)


@on_press("mn")
async def _newest(pressed: Pressed) -> None:
    await _turn(pressed, None)
