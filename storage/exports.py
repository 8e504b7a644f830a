"""Exports that members wait for: a row each, so that none is forgotten when the bot ends."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from storage.database import epoch_ms, now
from storage.errors import Stale
from storage.tables import Address, Export, Member

ANSWERED_MS = 5_000
"""So long the member's command may take to be answered: what is handed over comes after that."""


def ask(session: Session, address: Address, after: int | None) -> tuple[Export, bool] | None:
    """Write that a member waits for their data after a picture (None: from the beginning), or find what they
    wait for already; True where it is new. None where nothing is stored about them.
    """
    if session.get(Member, address.member_id, with_for_update={"key_share": True}) is None:
        return None
    waiting = session.scalar(select(Export).where(Export.member_id == address.member_id))
    if waiting is not None:
        return waiting, False
    at = now(session)
    row = Export(**address.columns_of(Export, at), after=after, created_at=at, due_at=at + ANSWERED_MS)
    session.add(row)
    session.flush()
    return row, True


def begin(session: Session, export_id: int) -> None:
    """It may be taken: its member was told."""
    session.execute(update(Export).where(Export.id == export_id).values(due_at=epoch_ms()))


def is_due(session: Session) -> bool:
    return session.scalar(select(Export.id).where(Export.due_at <= now(session)).limit(1)) is not None


def take(session: Session, most: int, hold_ms: int) -> Sequence[Export]:
    """Exports that are due, the oldest first; nobody else takes them for `hold_ms`."""
    at = now(session)
    due = select(Export).where(Export.due_at <= at).order_by(Export.id).limit(most)
    found = session.scalars(due.with_for_update(skip_locked=True)).all()
    for row in found:
        row.due_at, row.tries = at + hold_ms, row.tries + 1
    session.flush()
    return found


def hold(session: Session, export_id: int, hold_ms: int) -> None:
    """Somebody is at it still.

    Raises:
        Stale: the member has deleted their data.
    """
    _change(session, export_id, due_at=epoch_ms() + hold_ms)


def sent(session: Session, export_id: int, count: int, cursor: int | None, hold_ms: int) -> None:
    """The member has so many of its archives; the next one begins after the picture `cursor`.

    Raises:
        Stale: the member has deleted their data.
    """
    _change(session, export_id, sent=count, cursor=cursor, tries=0, due_at=epoch_ms() + hold_ms)


def requeue(session: Session, export_id: int) -> None:
    """Release an export from the process that was working on it; this does not count as a try."""
    before = case((Export.tries > 0, Export.tries - 1), else_=0)
    session.execute(update(Export).where(Export.id == export_id).values(due_at=epoch_ms(), tries=before))


def later(session: Session, export_id: int, delay_ms: int) -> None:
    """It is tried again, not before `delay_ms`."""
    session.execute(update(Export).where(Export.id == export_id).values(due_at=epoch_ms() + delay_ms))


def end(session: Session, export_id: int) -> None:
    """It was handed over, or never will be."""
    session.execute(delete(Export).where(Export.id == export_id))


def _change(session: Session, export_id: int, **values: object) -> None:
    changed = update(Export).where(Export.id == export_id).values(values).returning(Export.id)
    if session.scalar(changed) is None:
        raise Stale(f"export {export_id}")
