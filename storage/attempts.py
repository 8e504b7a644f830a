"""A worker's attempts at jobs: claimed, and ended once.

Every write of a worker names its attempt; one that is no longer the job's is `Stale`, and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage import fair_queue, isolation, removals, states
from storage.contract import ErrorCode, GenerationRequest, JobState
from storage.database import now
from storage.drafts import ImageDraft
from storage.errors import Stale
from storage.tables import Job, Member, WorkerRow

ATTEMPTS = 3
PAUSES_MS = (2_000, 10_000)
"""After a job's first and second attempt that failed and counts on it, before the next."""
PAUSE_OF_NOBODY_MS = 10_000
"""The same after one that counts on nobody."""


class Blame(Enum):
    """On whom an attempt that failed counts."""

    JOB = auto()
    WHO_RAN_ALONE = auto()
    """On a suspect, which had its worker to itself. Any other job becomes one (`isolation`): it may be tried
    again at once, and nothing is counted.
    """
    NOBODY = auto()
    """No job can help it, as with a full disk."""


@dataclass(frozen=True)
class Claim:
    """A job that is a worker's until its attempt ends."""

    job_id: int
    attempt: int
    """Fencing token: every write names it, and is `Stale` once another attempt has begun."""
    request: GenerationRequest
    alone: bool
    """An earlier attempt failed: draw it beside no other job, it may be what broke them."""
    suspect: bool
    """It has the worker to itself (`isolation`)."""
    cancel_requested: bool


def claim(
    session: Session, worker_id: int, models: Collection[str], loaded: Collection[str] = ()
) -> Claim | None:
    """Take the next job for a worker that serves `models` and has `loaded` some of them; None: nothing to do.

    Raises:
        Stale: this worker was given up as lost, or has stopped.
    """
    if session.scalar(select(WorkerRow.stopped_at).where(WorkerRow.id == worker_id)) is not None:
        raise Stale
    beside = isolation.beside(session, worker_id)
    if any(beside):
        return None
    # The member's row stays locked until the commit, so two claims at once cannot pass their limit together;
    # a claim that meets the lock skips to another member instead of waiting.
    suspects, passed = True, list[int]()
    while (member := fair_queue.next_member(session, models, loaded, passed, suspects=suspects)) is not None:
        job = fair_queue.next_job(session, member, models, loaded, suspects=suspects)
        if job is None:
            # What made it this member's turn was cancelled in the instant before the row was locked.
            passed.append(member.id)
            continue
        if job.suspect and beside:
            if isolation.drains(session, worker_id, job.model):
                return None
            suspects = False
            continue
        _start(session, worker_id, member, job)
        try:
            request = GenerationRequest.model_validate(job.request)
        except ValidationError as error:
            fail(session, job.id, job.attempts, ErrorCode.CRASHED, str(error), retry=False)
            continue
        alone = job.suspect or job.attempts - job.handbacks > 1
        cancelled = job.cancel_requested_at is not None
        return Claim(job.id, job.attempts, request, alone, job.suspect, cancelled)
    return None


def _start(session: Session, worker_id: int, member: Member, job: Job) -> None:
    turn, at = fair_queue.new_turn(session), now(session)
    member.served = turn
    member.waiting -= 1
    member.running += 1
    member.singles = fair_queue.singles_after(member, job)
    states.move(job, JobState.RUNNING)
    job.worker_id = worker_id
    job.due_at = None
    job.attempts += 1
    job.started_at = at
    session.flush()


def finish(
    session: Session,
    job_id: int,
    attempt: int,
    images: Sequence[ImageDraft],
    timings: dict[str, Any],
    result: dict[str, Any] | None = None,
    movie_key: str | None = None,
) -> Job:
    """The attempt made its pictures: succeeded, or withheld when all of them are. Words are the `result`.

    A movie that shows a picture which was deleted meanwhile is not taken: delete it if the job has none then.

    Raises:
        Stale: the attempt is not the job's any more; delete the pictures.
    """
    member, job = _mine(session, job_id, attempt)
    at = now(session)
    session.add_all(image.row(job, at) for image in images)
    job.timings = timings
    job.result = result
    job.movie_key = None if movie_key is None or removals.shows_deleted(session, job) else movie_key
    job.error_code = job.error_detail = None
    withheld = bool(images) and all(image.withheld for image in images)
    states.leave(session, member, job, at, jobs=1, images=len(images))
    states.end(session, job, JobState.WITHHELD if withheld else JobState.SUCCEEDED, at)
    return job


def fail(
    session: Session,
    job_id: int,
    attempt: int,
    code: ErrorCode,
    detail: str,
    *,
    retry: bool,
    blame: Blame = Blame.JOB,
) -> JobState:
    """The attempt failed: queued again, after a pause, when another may help and fewer than three counted;
    else failed for good.

    Raises:
        Stale: the attempt is not the job's any more.
    """
    member, job = _mine(session, job_id, attempt, may_wait=retry)
    at = now(session)
    states.leave(session, member, job, at)
    job.error_code, job.error_detail = code.value, detail
    suspected = blame is Blame.WHO_RAN_ALONE and not job.suspect
    if suspected or blame is Blame.NOBODY:
        job.handbacks += 1
    job.suspect = job.suspect or suspected
    counted = job.attempts - job.handbacks
    if job.cancel_requested_at is not None or (retry and counted < ATTEMPTS):
        states.wait_again(session, member, job, at, 0 if suspected else _pause_ms(blame, counted))
    else:
        states.end(session, job, JobState.FAILED, at)
    return JobState(job.state)


def _pause_ms(blame: Blame, counted: int) -> int:
    if blame is Blame.NOBODY:
        return PAUSE_OF_NOBODY_MS
    return PAUSES_MS[min(counted, len(PAUSES_MS)) - 1]


def requeue(session: Session, job_id: int, attempt: int) -> None:
    """The worker shuts down: the job waits again, and the attempt does not count.

    Raises:
        Stale: the attempt is not the job's any more.
    """
    member, job = _mine(session, job_id, attempt, may_wait=True)
    at = now(session)
    states.leave(session, member, job, at)
    job.handbacks += 1
    states.wait_again(session, member, job, at)


def stopped(session: Session, job_id: int, attempt: int) -> Job:
    """The worker stopped because someone asked for it.

    Raises:
        Stale: the attempt is not the job's any more.
    """
    member, job = _mine(session, job_id, attempt)
    at = now(session)
    states.leave(session, member, job, at)
    states.end(session, job, JobState.CANCELLED, at)
    return job


def _mine(session: Session, job_id: int, attempt: int, *, may_wait: bool = False) -> tuple[Member, Job]:
    # A worker that was frozen past its lease still believes that the job is its own. No clock can tell it
    # otherwise in time; the job's count of attempts can, read under the lock of the write itself.
    member, job = states.lock(session, job_id, may_wait=may_wait)
    if job.state != JobState.RUNNING or job.attempts != attempt:
        raise Stale
    return member, job
