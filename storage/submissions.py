"""From a draft to a waiting job: refused if its member may not ask now, and made once for each interaction.

The guild's row is locked before the member's, and that before any job's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from storage import fair_queue, jobs, members, restrictions
from storage.database import now
from storage.drafts import JobDraft
from storage.errors import Paused, QueueFull
from storage.tables import QUEUED, Address, Job, Member


@dataclass(frozen=True)
class Submission:
    job: Job
    ahead: int
    """About how many waiting jobs come before it."""
    fresh: bool
    """False: the same interaction, or the same press within three seconds, had made this job already."""


def submit(session: Session, draft: JobDraft) -> Submission:
    """Write a job that waits for a worker, or find the one that this interaction or press made before.

    Speed and stealth that the draft leaves open are those of the member's settings, whose row is locked here:
    who chose stealth a moment ago has nothing drawn in public.

    Raises:
        Banned, Paused, QueueFull: nothing was written.
    """
    member = asker(session, draft.address, draft.member_name)
    at = now(session)
    existing = _same(session, draft.address, draft.interaction_id, draft.press, at)
    if existing is not None:
        return Submission(existing, jobs.ahead(session, existing.id), fresh=False)
    may_ask(session, member, draft.address.guild_id)
    job = draft.in_mode_of(member.settings).row(at)
    session.add(job)
    restrictions.add_waiting(session, member, 1)
    session.flush()
    return Submission(job, fair_queue.jobs_ahead(session, job), fresh=True)


def asker(session: Session, address: Address, name: str = "") -> Member:
    """The member who asks, locked like their guild against a pause."""
    if address.guild_id is not None:
        restrictions.get_or_create_guild(session, address.guild_id)
    return members.member(session, address.member_id, name, address.locale)


def check(
    session: Session, address: Address, interaction_id: int | None = None, press: str | None = None
) -> None:
    """Raise if `submit` would refuse whoever asks; nobody is locked, so it may still.

    Raises:
        Banned, Paused, QueueFull
    """
    if _same(session, address, interaction_id, press, now(session)) is None:
        _may_ask(session, address.member_id, address.guild_id, session.get(Member, address.member_id))


def may_ask(session: Session, member: Member, guild_id: int | None) -> None:
    """Raise if a member, locked by `asker`, may not have one more entry in the queue.

    Raises:
        Banned, Paused, QueueFull
    """
    _may_ask(session, member.id, guild_id, member)


def _may_ask(session: Session, member_id: int, guild_id: int | None, member: Member | None) -> None:
    """`member` is None for who was never seen."""
    restrictions.check_banned(session, member_id, guild_id)
    if restrictions.is_paused(session, guild_id):
        raise Paused
    if member is not None and _entries(session, member_id) >= member.waiting_limit:
        raise QueueFull(member.waiting_limit)


def _same(
    session: Session, address: Address, interaction_id: int | None, press: str | None, at: int
) -> Job | None:
    if interaction_id is not None:
        job = session.scalar(select(Job).where(Job.interaction_id == interaction_id))
        if job is not None:
            return job
    if press is None:
        return None
    pressed = select(Job).where(Job.press == press, address.same_moment(Job, at))
    return session.scalar(pressed.order_by(Job.id.desc()).limit(1))


def _entries(session: Session, member_id: int) -> int:
    """Number of a member's entries that wait; all the jobs of a batch are one."""
    entry = func.coalesce(Job.batch_id, -Job.id)
    count = select(func.count(entry.distinct())).where(Job.member_id == member_id, text(QUEUED))
    return session.scalars(count).one()
