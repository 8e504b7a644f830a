"""Progress messages of jobs and batches: their text now, their place, and their buttons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import discord

from bot import components, messages
from bot.discord_io import posting
from bot.discord_io.posting import HANDOVER_MS, ProgressPlace
from bot.messages import batches as batch_messages
from storage.batches import Tally
from storage.clock import Clock
from storage.contract import JobState
from storage.tables import Batch, Job

T = TypeVar("T")


@dataclass(frozen=True)
class Said:
    """Text and picture of a progress message."""

    content: str
    preview: bytes | None = None
    stopping: bool = False
    handed_over: bool = False
    """Nothing can follow but what a press asks for."""
    last: bool = False
    """Nothing will follow: a batch's jobs have all ended."""
    hidden: bool = False
    """No picture of it may be seen here."""

    def keeps_files(self, shown: Said | None) -> bool:
        """True if the message keeps the picture that it has; `shown` is what it says, None if unknown."""
        if self.hidden:
            return False
        same = self.preview is None if shown is None else self.preview == shown.preview
        return same or self.stopping


@dataclass(frozen=True)
class Told:
    """Text that is due now for a job or a batch, and its place."""

    row: Job | Batch
    place: ProgressPlace
    said: Said
    answered: bool
    """The answer to the command, or to the press, said it a moment ago."""
    clock: Clock

    @property
    def unanswered(self) -> bool:
        """True if its message is perhaps not there yet."""
        return self.row.progress_message_id is None and _just_asked(self.row, self.clock)

    def hidden(self) -> Told:
        """The same without a picture."""
        return replace(self, said=replace(self.said, preview=None, hidden=True))

    def buttons(self) -> discord.ui.View:
        if self.said.handed_over:
            make = either(self.row, components.handed_over, components.handed_over_batch)
        else:
            make = either(self.row, components.cancel, components.cancel_batch)
        return make(self.row.id, stopping=self.said.stopping)


def of_job(
    job: Job, clock: Clock, ahead: int, fraction: float, preview: bytes | None, before: bytes | None
) -> Told | None:
    """Progress message of an unfinished job; None if its message is out of reach.

    `ahead` jobs come before it; `fraction` of it is drawn, which looks like `preview`. The message still
    shows the picture `before`.
    """
    place = _place_of(job, clock)
    if place is None:
        return None
    untouched = job.state == JobState.QUEUED and job.attempts == 0
    said = _said_of_job(job, place, ahead, fraction, preview, before)
    return Told(job, place, said, untouched and _just_asked(job, clock), clock)


def _said_of_job(
    job: Job, place: ProgressPlace, ahead: int, fraction: float, preview: bytes | None, before: bytes | None
) -> Said:
    stopping = job.cancel_requested_at is not None
    if place.ends_soon and job.by_token_alone:
        return Said(messages.handed_over(job), stopping=stopping, handed_over=True)
    if stopping:
        return Said(messages.stopping(job), before, stopping=True)
    if job.state == JobState.QUEUED:
        return Said(messages.waiting(job, ahead))
    return Said(messages.progress(job, fraction), preview)


def of_batch(batch: Batch, clock: Clock, tally: Tally) -> Told | None:
    """Progress message of a confirmed batch; None if its message is out of reach."""
    place = _place_of(batch, clock)
    if place is None:
        return None
    handed_over = place.ends_soon and batch.by_token_alone and not tally.finished
    say = batch_messages.handed_over if handed_over else batch_messages.progress
    stopping = batch.cancel_requested_at is not None
    said = Said(say(batch, tally), stopping=stopping, handed_over=handed_over, last=tally.finished)
    return Told(batch, place, said, tally.queued == batch.size and _just_asked(batch, clock), clock)


def either(row: Job | Batch, of_job: T, of_batch: T) -> T:
    return of_batch if isinstance(row, Batch) else of_job


def _place_of(row: Job | Batch, clock: Clock) -> ProgressPlace | None:
    """The token as long as it lives, and the channel in good time before it ends."""
    in_channel = ProgressPlace.in_channel(row)
    return ProgressPlace.of(row, clock, HANDOVER_MS if in_channel is not None else 0)


def _just_asked(row: Job | Batch, clock: Clock) -> bool:
    since = row.confirmed_at or row.created_at if isinstance(row, Batch) else row.created_at
    return clock.since(since) < posting.ANSWERED_WITHIN_MS
