"""A member's data deleted; `belongings` reads it.

Canvases and movies that others' jobs made of the member's pictures go too (`removals.forget_made_of`).
What stays after a deletion is what moderation and other members' pictures need: the member's Discord id,
bans, reports and the audit log, and rows of jobs without a word in them, which messages and other jobs point
to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, or_, select, text, update
from sqlalchemy.orm import Session

from storage import brought, deliveries, members, removals, states
from storage.backends import Backends
from storage.contract import CancelEvent, ChangedEvent
from storage.database import now
from storage.removals import Remains
from storage.tables import LIVE, OPEN, Batch, Delivery, Export, Favorite, Image, Job, MemberUsage


@dataclass(frozen=True)
class Deleted:
    jobs: int
    interrupted: Sequence[Job | Batch]
    """Jobs that waited or ran, as they were: their messages in channels are about nothing now."""
    started_from: Sequence[str]
    """Keys of the pictures that their jobs started from, or were to."""
    remains: Remains
    """Files that other members' jobs were begun with, or filmed, of their pictures."""


def _job_ids(member_id: int) -> Select[int]:
    return select(Job.id).where(Job.member_id == member_id)


def erase(backends: Backends, member_id: int) -> Deleted:
    """Delete a member's data from the store and the database, and stop their jobs.

    The jobs' files go first: who is interrupted may ask again, and finds the rest. They go once more at the
    end, for what a worker saved meanwhile. What their jobs start from goes once no row of theirs names it,
    unless another member's does; were that interrupted, the sweep finds it. Blocks; not for the event loop.
    """
    brought.fill(backends.database)
    _drop_drawn(backends, member_id)
    with backends.database.writing() as session:
        deleted = delete_rows(session, member_id)
    for job in deleted.interrupted:
        if isinstance(job, Job):
            backends.events.publish(CancelEvent(job_id=job.id))
            backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    _drop_drawn(backends, member_id)
    for key in deleted.started_from:
        brought.forget(backends, key)
    deleted.remains.delete(backends)
    backends.database.checkpoint()
    return deleted


def _drop_drawn(backends: Backends, member_id: int) -> None:
    with backends.database.reading() as session:
        job_ids = session.scalars(_job_ids(member_id)).all()
    for job_id in job_ids:
        backends.images.delete_job(job_id)


def delete_rows(session: Session, member_id: int) -> Deleted:
    """Take every word, setting and mark of the member's out of the tables.

    Nothing of theirs can be claimed or delivered then. Their limits stay, which are the operator's.
    """
    member = members.member(session, member_id)
    at = now(session)
    interrupted: list[Job | Batch] = [*_open_batches(session, member_id), *states.discard(session, member)]
    for row in interrupted:
        session.expunge(row)
    started_from = brought.disown(session, member_id)
    mine = _job_ids(member_id)
    # A union: of "either or" a planner makes a scan.
    to_them, of_theirs = Delivery.member_id == member_id, Delivery.job_id.in_(mine)
    concerned = select(Delivery.id).where(to_them).union(select(Delivery.id).where(of_theirs))
    marked = Favorite.image_id.in_(select(Image.id).where(Image.job_id.in_(mine)))
    jobs_left = update(Job).where(Job.member_id == member_id, Job.deleted_at.is_(None))
    # In the order that everybody locks rows in: batches, jobs, deliveries.
    session.execute(
        update(Batch).where(Batch.member_id == member_id).values(_NO_BATCH), execution_options=_UNTRACKED
    )
    remains = removals.forget_made_of(session, select(Image.id).where(Image.job_id.in_(mine)))
    emptied = jobs_left.values({**_NO_JOB, "deleted_at": at}).returning(Job.id)
    count = len(session.scalars(emptied, execution_options=_UNTRACKED).all())
    # What was withdrawn keeps its place until its messages are deleted.
    ended = Delivery.id.in_(
        deliveries.lock(session, Delivery.id.in_(concerned), Delivery.state != deliveries.WITHDRAWN)
    )
    changes = (
        update(Delivery).where(ended, text(OPEN)).values(state="given_up"),
        update(Delivery).where(ended).values(_NO_DELIVERY),
        delete(Favorite).where(or_(Favorite.member_id == member_id, marked)),
        delete(MemberUsage).where(MemberUsage.member_id == member_id),
        delete(Export).where(Export.member_id == member_id),
        update(Image).where(Image.job_id.in_(mine)).values({**_NO_IMAGE, "deleted_at": at}),
    )
    for change in changes:
        session.execute(change, execution_options=_UNTRACKED)
    member.name, member.locale, member.settings, member.deleted_at = "", None, {}, at
    session.flush()
    return Deleted(count, interrupted, started_from, remains)


def _open_batches(session: Session, member_id: int) -> list[Batch]:
    """The member's batches that wait for their yes or of which jobs are to come, locked."""
    live = select(Batch).where(Batch.member_id == member_id, text(LIVE)).order_by(Batch.id)
    return list(session.scalars(live.with_for_update(key_share=True)))


_UNTRACKED = {"synchronize_session": False}
_NOWHERE: dict[str, Any] = {
    "channel_id": None,
    "locale": None,
    "interaction_token": None,
    "token_expires_at": None,
}
_NO_BATCH: dict[str, Any] = {
    **_NOWHERE,
    "state": "finished",
    "text": "",
    "planned": [],
    "interaction_id": None,
}
_NO_DELIVERY: dict[str, Any] = {**_NOWHERE, "guild_id": None, "reply_to": None, "error": None}
_NO_IMAGE: dict[str, Any] = {"sha256": "", "seed": 0, "safety_scores": {}}
_NO_JOB: dict[str, Any] = {
    **_NOWHERE,
    "text": "",
    "request": {},
    "timings": {},
    "result": None,
    "movie_key": None,
    "reply_to": None,
    "press": None,
    "interaction_id": None,
    "error_detail": None,
}
