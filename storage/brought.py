"""Pictures that jobs start from: brought by members, or composed for one job; and when they may go.

A picture stays as long as a row names it: a job's, or that of a command that is about to use it. The row is
written before the file, and whoever takes a file away keeps new rows of its key waiting until it is gone. So
there is no moment in which a picture that somebody counts on is deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, Text, cast, delete, event, func, or_, select
from sqlalchemy.orm import Mapper, Session

from storage.backends import Backends
from storage.database import Database, insert_or_update, now
from storage.images import COMPOSED, INCOMING
from storage.tables import Bringing, Filling, Job, JobImage

AWHILE_MS = 86_400_000
"""For so long a command may be about to use what it brought; a batch's question lives fifteen minutes."""
FILLED_AT_ONCE = 5_000
"""Older jobs that are looked through in one step."""
_FILLING = "job_pictures"
_FIELD = re.compile(r"(\w+_)?keys?")
_KEY = re.compile(rf"({INCOMING}|{COMPOSED})[0-9A-Za-z_/-]+\.[a-z0-9]+")
_LOCK = 0x6272
"""Of PostgreSQL's advisory locks, those that are of keys."""


def named(request: Any) -> frozenset[str]:
    """The keys of such pictures that a stored request names, of whatever version it is.

    Only fields that hold keys are read: what a member writes as a prompt names nothing.
    """
    return frozenset(_keys(request))


def _keys(part: Any, field: str = "") -> Iterator[str]:
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from _keys(inner, name)
    elif isinstance(part, list | tuple):
        for inner in part:
            yield from _keys(inner, field)
    elif isinstance(part, str) and _FIELD.fullmatch(field) and _KEY.fullmatch(part):
        yield part


def bring(session: Session, member_id: int, key: str) -> int:
    """Note that a command of this member's is about to use a picture, before its file is kept."""
    _hold(session.connection(), key)
    row = Bringing(key=key, member_id=member_id, created_at=now(session))
    session.add(row)
    session.flush()
    return row.id


def release(backends: Backends, bringings: Collection[int]) -> None:
    """A command came to nothing: what nobody else counts on is deleted. Blocks; not for the event loop."""
    with backends.database.writing() as session:
        gone = delete(Bringing).where(Bringing.id.in_(bringings)).returning(Bringing.key)
        keys = set(session.scalars(gone, execution_options=_UNTRACKED))
    for key in sorted(keys):
        forget(backends, key)


def forget(backends: Backends, key: str) -> bool:
    """Delete a picture, unless a row names it; whether it is gone. Blocks; not for the event loop."""
    with backends.database.writing() as session:
        _hold(session.connection(), key, alone=True)
        if _is_named(session, key):
            return False
        backends.images.delete(key)
    return True


def _is_named(session: Session, key: str) -> bool:
    # First: what a filling adds before its end is seen by the statements after this one.
    if not is_filled(session):
        return True
    return bool(named_of(session, [key]))


def named_of(session: Session, keys: Collection[str]) -> set[str]:
    """The given keys that a row names."""
    used = session.scalars(select(JobImage.key).where(JobImage.key.in_(keys)))
    brought = session.scalars(select(Bringing.key).where(Bringing.key.in_(keys)))
    return {*used, *brought}


def disown(session: Session, member_id: int) -> list[str]:
    """Take away every row by which a member's jobs and commands name pictures; the keys that they named."""
    of_jobs = JobImage.job_id.in_(select(Job.id).where(Job.member_id == member_id))
    used = session.scalars(
        delete(JobImage).where(of_jobs).returning(JobImage.key), execution_options=_UNTRACKED
    )
    keys = set(used)
    gone = delete(Bringing).where(Bringing.member_id == member_id).returning(Bringing.key)
    keys.update(session.scalars(gone, execution_options=_UNTRACKED))
    return sorted(keys)


def outlived(session: Session, most: int) -> list[int]:
    """The oldest bringings whose command is over for long, whatever became of it."""
    old = select(Bringing.id).where(Bringing.created_at < now(session) - AWHILE_MS)
    return list(session.scalars(old.order_by(Bringing.created_at).limit(most)))


def is_filled(session: Session) -> bool:
    """True once the pictures of every job are known: jobs older than the table are looked through later."""
    return session.get(Filling, _FILLING) is None


def fill(database: Database) -> None:
    """Look through all older jobs that are left. Takes seconds for a million; nobody waits for it."""
    while fill_some(database):
        pass


def fill_some(database: Database) -> bool:
    """Look through some more of the older jobs; False where none is left. Several may do it at once."""
    with database.reading() as session:
        filling = session.get(Filling, _FILLING)
        if filling is None:
            return False
        after, until = filling.after, min(filling.after + FILLED_AT_ONCE, filling.until)
        within = (Job.id > after, Job.id <= until)
        request = cast(Job.request, Text)
        may_name = or_(request.contains(f'"{INCOMING}'), request.contains(f'"{COMPOSED}'))
        found = session.execute(select(Job.id, request).where(*within, may_name)).all()
    rows = [{"job_id": id_, "key": key} for id_, text in found for key in sorted(named(json.loads(text)))]
    with database.writing() as session:
        locked = session.get(Filling, _FILLING, with_for_update=True)
        if locked is not None and locked.after == after:
            for start in range(0, len(rows), 500):
                more = insert_or_update(session, JobImage).values(rows[start : start + 500])
                session.execute(more.on_conflict_do_nothing())
            locked.after = until
            if until >= locked.until:
                session.delete(locked)
    return True


def _hold(connection: Connection, key: str, *, alone: bool = False) -> None:
    """Until the commit nobody takes the picture away; `alone`: and nobody writes a row that names it.

    On SQLite there is one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
        connection.execute(select(lock(_LOCK, func.hashtext(key))))


@event.listens_for(JobImage, "before_insert")
def _hold_for_job(_mapper: Mapper[Any], connection: Connection, use: JobImage) -> None:
    _hold(connection, use.key)


_UNTRACKED = {"synchronize_session": False}
