"""A job's states: each move, and what has to be written with it.

Every move locks the member's row before the job's: the member's counters and what they must hear are of the
same transaction.
"""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from storage import deliveries, members, restrictions
from storage.contract import JobState
from storage.database import now
from storage.errors import AlreadyFinished, NoSuchJob
from storage.tables import UNFINISHED, Address, Job, Member


def cancel(session: Session, job_id: int) -> JobState:
    """Cancel a waiting job at once; ask the worker of a running one to stop. Returns the state it is in then.

    Raises:
        NoSuchJob: there is none of this number.
        AlreadyFinished: nothing is left to cancel.
    """
    member, job = lock(session, job_id)
    state = JobState(job.state)
    if state.finished:
        raise AlreadyFinished(state)
    at = now(session)
    job.cancel_requested_at = job.cancel_requested_at or at
    if state is JobState.QUEUED:
        if not job.held:
            restrictions.add_waiting(session, member, -1)
        end(session, job, JobState.CANCELLED, at)
    else:
        session.flush()
    return JobState(job.state)


def discard(session: Session, member: Member) -> list[Job]:
    """End at once whatever a member, whose row is locked, has waiting or running; returns these jobs.

    Nobody is told, and a worker's attempt that goes on is over: what it writes is `Stale`.
    """
    mine = select(Job).where(Job.member_id == member.id, text(UNFINISHED))
    unfinished = list(
        session.scalars(mine.with_for_update(key_share=True).execution_options(populate_existing=True))
    )
    at = now(session)
    for job in unfinished:
        if job.state == JobState.RUNNING:
            leave(session, member, job, at)
        elif not job.held:
            restrictions.add_waiting(session, member, -1)
        move(job, JobState.CANCELLED)
        job.held = False
        job.finished_at = at
    session.flush()
    return unfinished


def resume(session: Session, job_id: int, message_id: int | None, fresh: Address) -> Job:
    """Go on with a fresh token in the message that was pressed; a job that is finished is left as it is.

    One of a batch has no message of its own.
    """
    _, job = lock(session, job_id)
    if not JobState(job.state).finished:
        job.interaction_token, job.token_expires_at = fresh.interaction_token, fresh.token_ends(now(session))
        job.progress_message_id = message_id
        session.flush()
    return job


def lock(session: Session, job_id: int, *, may_wait: bool = False) -> tuple[Member, Job]:
    """The job and its member as they are now, locked; with `may_wait` also against a pause of the guild."""
    whose = session.execute(select(Job.member_id, Job.guild_id).where(Job.id == job_id)).one_or_none()
    if whose is None:
        raise NoSuchJob(job_id)
    member_id, guild_id = whose
    if may_wait and guild_id is not None:
        restrictions.get_or_create_guild(session, guild_id)
    member = members.lock(session, member_id)
    job = session.get_one(Job, job_id, populate_existing=True, with_for_update={"key_share": True})
    return member, job


def move(job: Job, state: JobState) -> None:
    assert JobState(job.state).may_become(state), f"job {job.id}: {job.state} never becomes {state}"
    job.state = state.value
    job.sequence += 1


def leave(session: Session, member: Member, job: Job, at: int, *, jobs: int = 0, images: int = 0) -> None:
    """The attempt is over, in whatever way."""
    member.running -= 1
    job.worker_id = None
    busy_ms = max(0, at - (job.started_at or at))
    members.add_usage(session, member.id, at, jobs=jobs, images=images, busy_ms=busy_ms)


def wait_again(session: Session, member: Member, job: Job, at: int, pause_ms: int = 0) -> None:
    """Another attempt may be made, after a pause, unless somebody asked for the job to stop."""
    if job.cancel_requested_at is not None:
        end(session, job, JobState.CANCELLED, at)
        return
    move(job, JobState.QUEUED)
    job.due_at = at + pause_ms if pause_ms else None
    job.held = restrictions.must_be_held(session, job)
    if not job.held:
        # Not by `restrictions.add_waiting`: whose attempt was lost keeps their turn.
        member.waiting += 1
    session.flush()


def end(session: Session, job: Job, state: JobState, at: int) -> None:
    """The job is finished, and its member must hear of it."""
    move(job, state)
    job.held = False
    job.finished_at = at
    deliveries.announce(session, job, at)
