"""Acts of moderators: bans, pauses, the guild's queue, and the log of all of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from storage import jobs, members, restrictions, states
from storage.contract import JobState
from storage.database import now
from storage.tables import QUEUED, UNFINISHED, AuditEntry, Ban, Batch, Job

AUDIT_LOCK = 0x6175_6469_74
FIRST_HASH = "0" * 64


def ban(
    session: Session, *, member_id: int, guild_id: int | None, by: int, reason: str, expires_at: int | None
) -> Ban:
    """Keep a member from asking in a guild (None: anywhere, by the operator) until `expires_at` (None: for
    ever).

    Their waiting jobs there are held. A ban that was in force in the same place is replaced.
    """
    members.member(session, member_id)
    at = now(session)
    _lift(session, member_id, guild_id, at)
    row = Ban(
        scope="operator" if guild_id is None else "guild",
        guild_id=guild_id,
        member_id=member_id,
        reason=reason,
        banned_by=by,
        created_at=at,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    restrictions.update_held(session, [member_id])
    detail = {"reason": reason, "expires_at": expires_at}
    audit(session, guild_id=guild_id, actor_id=by, action="ban", target_id=member_id, detail=detail)
    return row


def unban(session: Session, *, member_id: int, guild_id: int | None, by: int) -> bool:
    """Lift a member's ban in a guild (None: the operator's); False when there was none."""
    members.member(session, member_id)
    if not _lift(session, member_id, guild_id, now(session)):
        return False
    restrictions.update_held(session, [member_id])
    audit(session, guild_id=guild_id, actor_id=by, action="unban", target_id=member_id)
    return True


def _lift(session: Session, member_id: int, guild_id: int | None, at: int) -> bool:
    here = Ban.scope == "operator" if guild_id is None else Ban.guild_id == guild_id
    mine = update(Ban).where(Ban.member_id == member_id, here, restrictions.ban_in_force())
    return bool(session.scalars(mine.values(lifted_at=at).returning(Ban.id)).all())


def pause(session: Session, guild_id: int, by: int) -> bool:
    """Stop new jobs in a guild and hold the waiting ones; False when it was paused already."""
    return _set_paused(session, guild_id, by, paused=True)


def resume(session: Session, guild_id: int, by: int) -> bool:
    """Let a guild ask again and release its waiting jobs; False when it was not paused."""
    return _set_paused(session, guild_id, by, paused=False)


def _set_paused(session: Session, guild_id: int, by: int, *, paused: bool) -> bool:
    guild = restrictions.get_or_create_guild(session, guild_id, change=True)
    if (guild.paused_at is not None) is paused:
        return False
    guild.paused_at = now(session) if paused else None
    session.flush()
    waiting = select(Job.member_id).where(Job.guild_id == guild_id, text(QUEUED)).distinct()
    restrictions.update_held(session, session.scalars(waiting).all())
    audit(session, guild_id=guild_id, actor_id=by, action="pause" if paused else "resume")
    return True


def guild_queue(session: Session, guild_id: int) -> list[Job]:
    """Jobs of a guild: the running ones first, then the waiting ones by age."""
    live = session.scalars(
        select(Job).where(Job.guild_id == guild_id, text(UNFINISHED)).order_by(Job.id)
    ).all()
    return sorted(live, key=lambda job: job.state != JobState.RUNNING)


def cancel_by_moderator(session: Session, job_id: int, by: int) -> JobState:
    """Cancel someone's job, and write it in the log.

    Raises:
        NoSuchJob, AlreadyFinished: nothing was done.
    """
    state = states.cancel(session, job_id)
    job = jobs.get(session, job_id)
    audit(
        session, guild_id=job.guild_id, actor_id=by, action="cancel", target_id=job.member_id, job_id=job_id
    )
    return state


def audit_batch_cancelled(session: Session, batch: Batch, by: int) -> None:
    """Write in the log that a moderator cancelled someone's batch."""
    audit(
        session,
        guild_id=batch.guild_id,
        actor_id=by,
        action="cancel_batch",
        target_id=batch.member_id,
        detail={"batch": batch.id, "size": batch.size},
    )


def audit(
    session: Session,
    *,
    guild_id: int | None,
    actor_id: int,
    action: str,
    target_id: int | None = None,
    job_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write what was done into the log. To be the last thing in its transaction: all writers of the log take
    turns.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT pg_advisory_xact_lock({AUDIT_LOCK})"))
    last = session.scalar(select(AuditEntry.hash).order_by(AuditEntry.id.desc()).limit(1))
    entry = AuditEntry(
        at=now(session),
        guild_id=guild_id,
        actor_id=actor_id,
        action=action,
        target_id=target_id,
        job_id=job_id,
        detail=detail or {},
        prev_hash=last or FIRST_HASH,
    )
    entry.hash = _hash(entry)
    session.add(entry)
    session.flush()
    return entry


def _hash(entry: AuditEntry) -> str:
    said = [
        entry.prev_hash,
        entry.at,
        entry.guild_id,
        entry.actor_id,
        entry.action,
        entry.target_id,
        entry.job_id,
        entry.detail,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def entries(session: Session, guild_id: int, before: int | None = None, limit: int = 10) -> list[AuditEntry]:
    """The guild's log, newest first; with `before` only entries with a smaller id."""
    query = select(AuditEntry).where(AuditEntry.guild_id == guild_id)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)))


def verify_chain(session: Session) -> list[str]:
    """Check the log's hashes: a sentence for each entry that was changed or taken out."""
    problems = []
    before = FIRST_HASH
    for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id)):
        if entry.prev_hash != before:
            problems.append(f"Audit entry {entry.id} does not follow the one before it: some were taken out.")
        if entry.hash != _hash(entry):
            problems.append(f"Audit entry {entry.id} was changed after it was written.")
        before = entry.hash
    return problems
