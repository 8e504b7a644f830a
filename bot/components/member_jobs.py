"""A member's jobs in one guild, for its moderators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import discord
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.components.cancel import may_moderate
from bot.components.jump_links import jump_url
from bot.components.press import Pressed, button, on_press
from bot.components.responses import defer_if_slow, update
from bot.messages import finding
from prompts.translation import _
from storage.tables import Job

PAGE = 8


@dataclass(frozen=True)
class MemberJobs:
    jobs: Sequence[Job]
    links: Sequence[str | None]
    older: bool


def read_member_jobs(
    session: Session, member_id: int, guild_id: int, before: int | None = None
) -> MemberJobs:
    """A page of the member's jobs there, newest first: those with an id below `before`."""
    query = select(Job).where(Job.member_id == member_id, Job.guild_id == guild_id, Job.deleted_at.is_(None))
    if before is not None:
        query = query.where(Job.id < before)
    found = list(session.scalars(query.order_by(Job.id.desc()).limit(PAGE + 1)))
    shown = found[:PAGE]
    return MemberJobs(shown, [jump_url(session, job) for job in shown], len(found) > PAGE)


def member_jobs(member_id: int, found: MemberJobs) -> discord.ui.LayoutView:
    """A page of jobs as `read_member_jobs` found it, with buttons to older ones and back to the newest."""
    lines = [finding.member_job(job, url) for job, url in zip(found.jobs, found.links, strict=True)]
    view = discord.ui.LayoutView(timeout=None)
    title = finding.member_jobs_title(member_id, empty=not lines)
    box: discord.ui.Container[Any] = discord.ui.Container(discord.ui.TextDisplay("\n".join([title, *lines])))
    view.add_item(box)
    last = found.jobs[-1].id if found.jobs else 0
    older = button("mj", last, member_id, label=_("Older"), disabled=not found.older)
    view.add_item(discord.ui.ActionRow(button("mb", 0, member_id, label=_("Newest")), older))
    return view


async def _turn(pressed: Pressed, before: int | None) -> None:
    may_moderate(pressed.interaction)
    guild_id = pressed.interaction.guild_id
    assert guild_id is not None
    work = pressed.backends.database.read(read_member_jobs, pressed.n, guild_id, before)
    found = await defer_if_slow(pressed.interaction, work, thinking=False)
    await update(pressed.interaction, member_jobs(pressed.n, found))


@on_press("mj")
async def _older(pressed: Pressed) -> None:
    await _turn(pressed, pressed.id)


@on_press("mb")
async def _newest(pressed: Pressed) -> None:
    await _turn(pressed, None)
