"""Lists of what waits and runs, with a button to stop each: `/info`, `/queue` and `/mod queue`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import discord
from sqlalchemy.orm import Session

from bot.components.batch import stop_batch
from bot.components.cancel import LABEL, may_moderate, stop
from bot.components.jump_links import jump_url, progress_url
from bot.components.press import Press, Pressed, button, on_press
from bot.components.responses import defer_if_slow, update
from bot.messages import batches as batch_sentences
from bot.messages import panels
from prompts.translation import _
from storage import batches, members, moderation, restrictions
from storage.batches import Tally
from storage.contract import JobState
from storage.errors import AlreadyFinished, NoSuchBatch, NoSuchJob
from storage.members import Totals
from storage.tables import Batch, Job, Member

T = TypeVar("T")

SHOWN = 10
"""Entries of one list: three components each of the 40 that a message may have."""
LAST = 5
"""Pictures that `/info` links to."""

Box = discord.ui.Container[Any]


@dataclass(frozen=True)
class Queue:
    """Jobs and batches that run and wait: the jobs of no batch, the running ones first, and the batches."""

    jobs: Sequence[Job]
    batches: Sequence[tuple[Batch, Tally]]

    @classmethod
    def of_member(cls, session: Session, member_id: int) -> Queue:
        totals = members.totals(session, member_id)
        live = [*totals.running, *totals.waiting]
        return cls(_alone(live), batches.of_member(session, member_id))

    @classmethod
    def of_guild(cls, session: Session, guild_id: int) -> Queue:
        return cls(_alone(moderation.guild_queue(session, guild_id)), batches.of_guild(session, guild_id))

    @property
    def waiting(self) -> int:
        """Entries that wait; a batch is one."""
        jobs = sum(job.state == JobState.QUEUED for job in self.jobs)
        return jobs + sum(tally.queued > 0 for _, tally in self.batches)

    def __len__(self) -> int:
        return len(self.jobs) + len(self.batches)


def _alone(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.batch_id is None]


@dataclass(frozen=True)
class Info:
    """Contents of `/info` for a member."""

    member: Member
    totals: Totals
    queue: Queue
    last: Sequence[tuple[Job, str]]
    """Their newest jobs with pictures, each with a link to them."""


def read_info(session: Session, member_id: int, name: str = "") -> Info:
    made = members.history(session, member_id, limit=LAST)
    links = [(job, jump_url(session, job)) for job in made]
    return Info(
        members.member(session, member_id, name),
        members.totals(session, member_id),
        Queue.of_member(session, member_id),
        [(job, url) for job, url in links if url is not None],
    )


def read_guild_queue(session: Session, guild_id: int) -> tuple[Queue, bool]:
    return Queue.of_guild(session, guild_id), restrictions.is_paused(session, guild_id)


def info(found: Info) -> discord.ui.LayoutView:
    """A member's modes, totals, queue and newest pictures."""
    box = Box(discord.ui.TextDisplay(panels.info_title(found.member, found.totals, found.queue.waiting)))
    _list(box, found.queue, "ci", "bi", with_member=False)
    if found.last:
        box.add_item(discord.ui.TextDisplay(panels.last_pictures(found.last)))
    return _panel(box)


def own_queue(queue: Queue) -> discord.ui.LayoutView:
    """A member's waiting and running jobs, each with a button to stop it."""
    box = Box(discord.ui.TextDisplay(panels.queue_title(len(queue))))
    _list(box, queue, "cq", "bq", with_member=False)
    return _panel(box)


def guild_queue(queue: Queue, *, paused: bool) -> discord.ui.LayoutView:
    """A guild's queue, for its moderators."""
    box = Box(discord.ui.TextDisplay(panels.guild_queue_title(len(queue), paused=paused)))
    _list(box, queue, "cm", "bm", with_member=True)
    return _panel(box)


def _panel(box: Box) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(box)
    return view


def _list(box: Box, queue: Queue, job_verb: str, batch_verb: str, *, with_member: bool) -> None:
    """Add a line and a button to stop it for each entry, as far as there is room."""
    lines = [
        (
            panels.queue_line(job, with_member=with_member, url=progress_url(job)),
            _stop_button(job_verb, job.id, stopping=job.cancel_requested_at is not None),
        )
        for job in queue.jobs
    ]
    lines += [
        (
            batch_sentences.line(
                batch, tally, member_id=batch.member_id if with_member else None, url=progress_url(batch)
            ),
            _stop_button(batch_verb, batch.id, stopping=batch.cancel_requested_at is not None),
        )
        for batch, tally in queue.batches
    ]
    for line, stop_it in lines[:SHOWN]:
        box.add_item(discord.ui.Section(line, accessory=stop_it))
    if len(lines) > SHOWN:
        box.add_item(discord.ui.TextDisplay(panels.queue_rest(len(lines) - SHOWN)))


def _stop_button(verb: str, id_: int, *, stopping: bool) -> Press:
    return button(verb, id_, label=_("Stopping…") if stopping else _(LABEL), disabled=stopping)


async def _read_after(pressed: Pressed, stopped: Awaitable[None], read: Callable[[], Awaitable[T]]) -> T:
    """Stop it, then read what the panel shows; what has ended meanwhile is left out of it."""

    async def work() -> T:
        with suppress(AlreadyFinished, NoSuchJob, NoSuchBatch):
            await stopped
        return await read()

    return await defer_if_slow(pressed.interaction, work(), thinking=False)


def _stopped_job(pressed: Pressed) -> Awaitable[None]:
    return stop(pressed.interaction, pressed.backends, pressed.id)


def _stopped_batch(pressed: Pressed) -> Awaitable[None]:
    return stop_batch(pressed.interaction, pressed.backends, pressed.id)


async def _info_without(pressed: Pressed, stopped: Callable[[Pressed], Awaitable[None]]) -> None:
    database, member_id = pressed.backends.database, pressed.interaction.user.id
    found = await _read_after(pressed, stopped(pressed), lambda: database.write(read_info, member_id))
    await update(pressed.interaction, info(found))


async def _queue_without(pressed: Pressed, stopped: Callable[[Pressed], Awaitable[None]]) -> None:
    database, member_id = pressed.backends.database, pressed.interaction.user.id
    queue = await _read_after(pressed, stopped(pressed), lambda: database.read(Queue.of_member, member_id))
    await update(pressed.interaction, own_queue(queue))


async def _guild_queue_without(pressed: Pressed, stopped: Callable[[Pressed], Awaitable[None]]) -> None:
    may_moderate(pressed.interaction)
    database, guild_id = pressed.backends.database, pressed.interaction.guild_id
    assert guild_id is not None
    queue, paused = await _read_after(
        pressed, stopped(pressed), lambda: database.read(read_guild_queue, guild_id)
    )
    await update(pressed.interaction, guild_queue(queue, paused=paused))


@on_press("ci")
async def _cancel_in_info(pressed: Pressed) -> None:
    await _info_without(pressed, _stopped_job)


@on_press("bi")
async def _cancel_batch_in_info(pressed: Pressed) -> None:
    await _info_without(pressed, _stopped_batch)


@on_press("cq")
async def _cancel_in_queue(pressed: Pressed) -> None:
    await _queue_without(pressed, _stopped_job)


@on_press("bq")
async def _cancel_batch_in_queue(pressed: Pressed) -> None:
    await _queue_without(pressed, _stopped_batch)


@on_press("cm")
async def _cancel_as_moderator(pressed: Pressed) -> None:
    await _guild_queue_without(pressed, _stopped_job)


@on_press("bm")
async def _cancel_batch_as_moderator(pressed: Pressed) -> None:
    await _guild_queue_without(pressed, _stopped_batch)
