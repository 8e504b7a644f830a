"""Reports: jobs that members show to a guild's moderators, and what those decide."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from storage import jobs, moderation, states, takedowns
from storage.database import insert_or_update, now
from storage.errors import AlreadyFinished, DataDeleted
from storage.tables import UNDECIDED, Job, Message, Report

WITHHELD = "withheld"
DISMISSED = "dismissed"


def report(session: Session, job_id: int, guild_id: int, reporter_id: int) -> bool:
    """Show a job to the guild's moderators; False where this member has done so already.

    Raises:
        NoSuchJob: there is none, or no more.
    """
    jobs.get(session, job_id)
    row = insert_or_update(session, Report).values(
        job_id=job_id, guild_id=guild_id, reporter_id=reporter_id, created_at=now(session)
    )
    once = row.on_conflict_do_nothing(index_elements=[Report.job_id, Report.guild_id, Report.reporter_id])
    return session.scalar(once.returning(Report.id)) is not None


def undecided(session: Session, guild_id: int, before: int | None = None, limit: int = 5) -> list[Report]:
    """Reports that wait for a moderator of the guild, newest first: of several of one job the newest."""
    newest = select(func.max(Report.id)).where(Report.guild_id == guild_id, text(UNDECIDED))
    query = select(Report).where(Report.id.in_(newest.group_by(Report.job_id)))
    if before is not None:
        query = query.where(Report.id < before)
    return list(session.scalars(query.order_by(Report.id.desc()).limit(limit)))


def dismiss(session: Session, report_id: int, guild_id: int, by: int) -> bool:
    """Leave a reported job as it is; False where a moderator has decided already."""
    job_id = _decide(session, report_id, guild_id, by, DISMISSED)
    if job_id is not None:
        _audit(session, "dismiss", guild_id, by, job_id)
    return job_id is not None


@dataclass(frozen=True)
class Withheld:
    job: Job
    messages: Sequence[Message]
    """The guild's that show its pictures, to be deleted from Discord."""


def withhold(session: Session, report_id: int, guild_id: int, by: int) -> Withheld | None:
    """Show a reported job's pictures in this guild no more; None: decided already.

    Where it was asked for there and is not finished, it is stopped.
    """
    job_id = _decide(session, report_id, guild_id, by, WITHHELD)
    if job_id is None:
        return None
    if session.get_one(Job, job_id).guild_id == guild_id:
        with suppress(AlreadyFinished):
            states.cancel(session, job_id)
    shown: Sequence[Message] = ()
    with suppress(DataDeleted):
        shown = takedowns.take_down(session, job_id, guild_id, by)
    _audit(session, "withhold", guild_id, by, job_id)
    return Withheld(session.get_one(Job, job_id), shown)


def _decide(session: Session, report_id: int, guild_id: int, by: int, verdict: str) -> int | None:
    """Close every report of the same job in the guild; returns the job's id."""
    found = session.get(Report, report_id)
    if found is None or found.guild_id != guild_id:
        return None
    same = update(Report).where(Report.job_id == found.job_id, Report.guild_id == guild_id, text(UNDECIDED))
    decided = same.values(verdict=verdict, decided_by=by, decided_at=now(session)).returning(Report.id)
    return found.job_id if session.scalars(decided).all() else None


def _audit(session: Session, action: str, guild_id: int, by: int, job_id: int) -> None:
    owner = session.get_one(Job, job_id).member_id
    moderation.audit(session, guild_id=guild_id, actor_id=by, action=action, target_id=owner, job_id=job_id)
