"""A job taken back by its member: stopped where it is not finished, else deleted with its messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import discord
from sqlalchemy.orm import Session

from bot.discord_io import removals
from bot.discord_io.posting import ProgressPlace
from storage import batches, deliveries, jobs, states
from storage.backends import Backends
from storage.contract import CancelEvent, ChangedEvent, JobState
from storage.errors import NoSuchMessage, NotYours
from storage.tables import Batch, Job


class Retraction(Enum):
    STOPPED = auto()
    DELETED = auto()
    MESSAGE_STAYS = auto()
    """Deleted, but Discord did not let the message go."""


@dataclass(frozen=True)
class RetractionSubject:
    """Job or batch that a message of Easel's is about; `image_id` where it shows that picture alone."""

    job: Job | Batch
    image_id: int | None = None

    @classmethod
    def of_message(cls, session: Session, message_id: int) -> RetractionSubject:
        """Raises NoSuchMessage or DataDeleted where it is about no job that is there."""
        try:
            job = deliveries.job_of_message(session, message_id)
        except NoSuchMessage:
            batch = batches.of_message(session, message_id)
            if batch is None:
                raise
            return cls(batch)
        message = deliveries.shown(session, message_id)
        return cls(job, None if message is None else message.image_id)


async def retract(
    client: discord.Client, backends: Backends, member_id: int, channel_id: int, message_id: int
) -> Retraction:
    """Take back what a message of the member's own is about.

    Raises:
        NoSuchMessage, DataDeleted, NotYours, AlreadyFinished: nothing was changed.
    """
    subject = await backends.database.read(RetractionSubject.of_message, message_id)
    if subject.job.member_id != member_id:
        raise NotYours
    if isinstance(subject.job, Batch):
        await _stop(backends, await backends.database.write(batches.cancel, subject.job.id))
        return Retraction.STOPPED
    if not JobState(subject.job.state).finished:
        await backends.database.write(states.cancel, subject.job.id)
        await _stop(backends, [subject.job.id])
        return Retraction.STOPPED
    stay = []
    if subject.job.state == JobState.SUCCEEDED:
        stay = await removals.remove(client, backends, subject.job.id, subject.image_id)
    place = ProgressPlace(None, channel_id, message_id)
    gone = not stay and await removals.delete_message(client, place, subject.job.id)
    return Retraction.DELETED if gone else Retraction.MESSAGE_STAYS


async def _stop(backends: Backends, job_ids: list[int]) -> None:
    for job_id in job_ids:
        job = await backends.database.read(jobs.get, job_id)
        backends.events.publish(CancelEvent(job_id=job_id))
        backends.events.publish(ChangedEvent(job_id=job_id, sequence=job.sequence))
