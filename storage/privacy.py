"""A member's data: all that is stored about them, and all of it deleted.

What stays after a deletion is what moderation and other members' pictures need: the member's Discord id,
bans, reports and the audit log, and rows of jobs without a word in them, which messages and other jobs point
to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Text, cast, delete, or_, select, text, update
from sqlalchemy.orm import Session

from storage import deliveries, members, states
from storage.backends import Backends
from storage.contract import CancelEvent, ChangedEvent
from storage.database import now
from storage.tables import LIVE, OPEN, Batch, Delivery, Favorite, Image, Job, Member, MemberUsage
from storage.tables import Table as Base

SENT = ("incoming/", "inputs/")
"""How the keys of pictures begin that jobs start from: sent by members, or composed for one job."""

_NAMES_MEMBER = ("member_id", "reporter_id", "target_id")
_LEFT_OUT = {"interaction_token", "worker_id", "banned_by", "actor_id", "decided_by", "prev_hash", "hash"}
"""Secrets, and who the moderators were."""


@dataclass(frozen=True)
class Stored:
    """Where the image store has files of a member's."""

    job_ids: frozenset[int]
    sent: frozenset[str]
    """Keys of pictures that their jobs start from and no other member's does."""


@dataclass(frozen=True)
class Deleted:
    jobs: int
    interrupted: Sequence[Job | Batch]
    """What waited or ran, as it was: its message in a channel is about nothing now."""


def export(session: Session, member_id: int) -> dict[str, list[dict[str, Any]]]:
    """Every row about the member, by its table's name."""
    document = {}
    for table in Base.metadata.sorted_tables:
        theirs = _theirs(table, member_id)
        if theirs is None:
            continue
        columns = [column for column in table.c if column.name not in _LEFT_OUT]
        rows = session.execute(select(*columns).where(theirs).order_by(*table.primary_key.columns))
        document[table.name] = [dict(row) for row in rows.mappings()]
    return document


def _theirs(table: Table, member_id: int) -> ColumnElement[bool] | None:
    """Which rows of a table are about the member; None for a table that is about nobody."""
    if table is Member.__table__:
        return table.c.id == member_id
    for name in _NAMES_MEMBER:
        if name in table.c:
            return table.c[name] == member_id
    return table.c.job_id.in_(_job_ids(member_id)) if "job_id" in table.c else None


def _job_ids(member_id: int) -> Select[int]:
    return select(Job.id).where(Job.member_id == member_id)


def pictures(session: Session, member_id: int, after: int = 0) -> list[tuple[Image, Job]]:
    """The member's pictures that may be shown, oldest first: those with an id above `after`."""
    shown = (
        select(Image, Job)
        .join(Job, Job.id == Image.job_id)
        .where(Job.member_id == member_id, Image.deleted_at.is_(None), ~Image.withheld, Image.id > after)
    )
    return [(image, job) for image, job in session.execute(shown.order_by(Image.id))]


def stored(session: Session, member_id: int) -> Stored:
    """Which files of the image store are the member's."""
    mine = session.execute(select(Job.id, Job.request).where(Job.member_id == member_id)).all()
    sent = {key for _, request in mine for key in _sent(request)}
    shared = {key for key in sent if _used_by_others(session, member_id, key)}
    return Stored(frozenset(job_id for job_id, _ in mine), frozenset(sent - shared))


def _sent(request: Any) -> Iterator[str]:
    """The keys of such pictures that a request names anywhere."""
    if isinstance(request, str):
        if request.startswith(SENT):
            yield request
    elif isinstance(request, dict | list):
        for part in request.values() if isinstance(request, dict) else request:
            yield from _sent(part)


def _used_by_others(session: Session, member_id: int, key: str) -> bool:
    names = cast(Job.request, Text).contains(key, autoescape=True)
    others = select(Job.id).where(Job.member_id != member_id, Job.deleted_at.is_(None), names)
    return session.scalar(others.limit(1)) is not None


def erase(backends: Backends, member_id: int) -> Deleted:
    """Delete a member's data from the store and the database, and stop their jobs.

    The files go first: who is interrupted may ask again, and finds the rest. They go once more at the end,
    for what a worker saved meanwhile. Blocks; not for the event loop.
    """
    _drop_files(backends, member_id)
    with backends.database.writing() as session:
        deleted = delete_rows(session, member_id)
    for job in deleted.interrupted:
        if isinstance(job, Job):
            backends.events.publish(CancelEvent(job_id=job.id))
            backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    _drop_files(backends, member_id)
    backends.database.checkpoint()
    return deleted


def _drop_files(backends: Backends, member_id: int) -> None:
    with backends.database.reading() as session:
        files = stored(session, member_id)
    for job_id in files.job_ids:
        backends.images.delete_job(job_id)
    for key in files.sent:
        backends.images.delete(key)


def delete_rows(session: Session, member_id: int) -> Deleted:
    """Take every word, setting and mark of the member's out of the tables.

    Nothing of theirs can be claimed or delivered then. Their limits stay, which are the operator's.
    """
    member = members.member(session, member_id)
    at = now(session)
    interrupted: list[Job | Batch] = [*_open_batches(session, member_id), *states.discard(session, member)]
    for row in interrupted:
        session.expunge(row)
    mine = _job_ids(member_id)
    of_theirs = or_(Delivery.member_id == member_id, Delivery.job_id.in_(mine))
    marked = Favorite.image_id.in_(select(Image.id).where(Image.job_id.in_(mine)))
    jobs_left = update(Job).where(Job.member_id == member_id, Job.deleted_at.is_(None))
    # In the order that everybody locks rows in: batches, jobs, deliveries.
    session.execute(
        update(Batch).where(Batch.member_id == member_id).values(_NO_BATCH), execution_options=_UNTRACKED
    )
    emptied = jobs_left.values({**_NO_JOB, "deleted_at": at}).returning(Job.id)
    count = len(session.scalars(emptied, execution_options=_UNTRACKED).all())
    # What was withdrawn keeps its place until its messages are deleted.
    ended = Delivery.id.in_(deliveries.lock(session, of_theirs, Delivery.state != deliveries.WITHDRAWN))
    changes = (
        update(Delivery).where(ended, text(OPEN)).values(state="given_up"),
        update(Delivery).where(ended).values(_NO_DELIVERY),
        delete(Favorite).where(or_(Favorite.member_id == member_id, marked)),
        delete(MemberUsage).where(MemberUsage.member_id == member_id),
        update(Image).where(Image.job_id.in_(mine)).values({**_NO_IMAGE, "deleted_at": at}),
    )
    for change in changes:
        session.execute(change, execution_options=_UNTRACKED)
    member.name, member.locale, member.settings, member.deleted_at = "", None, {}, at
    session.flush()
    return Deleted(count, interrupted)


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
    "wishes": [],
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
