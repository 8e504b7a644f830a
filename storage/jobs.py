"""The life of a job: submitted, claimed, and ended once.

Every change locks the member's row before the job's. Every write of a worker names its attempt; one that is
no longer the job's is `Stale`, and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from storage import holds, members, turns
from storage.contract import ErrorCode, GenerationRequest, JobState
from storage.counters import verify as verify
from storage.database import now
from storage.drafts import JobDraft as JobDraft
from storage.drafts import Picture as Picture
from storage.errors import (
    AlreadyFinished,
    Banned,
    DataDeleted,
    NoSuchImage,
    NoSuchJob,
    NotYours,
    Paused,
    QueueFull,
    Stale,
)
from storage.tables import QUEUED, UNFINISHED, Delivery, Image, Job, Member, Worker

ATTEMPTS = 3
SAME_PRESS_MS = 3_000


@dataclass(frozen=True)
class Submission:
    job: Job
    ahead: int
    """About how many waiting jobs come before it."""
    fresh: bool
    """False: the same interaction, or the same press within three seconds, had made this job already."""


@dataclass(frozen=True)
class Claim:
    """A job that is a worker's until its attempt ends."""

    job_id: int
    attempt: int
    request: GenerationRequest
    alone: bool
    """An earlier attempt failed: run it beside no other job, it may be what broke them."""
    cancel_requested: bool


def submit(session: Session, draft: JobDraft) -> Submission:
    """Write a job that waits for a worker, or find the one that this interaction or press made before.

    Raises:
        Banned, Paused, QueueFull: nothing was written.
    """
    member = asker(session, draft.member_id, draft.guild_id, draft.member_name, draft.locale)
    at = now(session)
    existing = _same(session, draft)
    if existing is not None:
        return Submission(existing, ahead(session, existing.id), fresh=False)
    may_ask(session, member, draft.guild_id)
    job = draft.row(at)
    session.add(job)
    holds.wait(session, member, 1)
    session.flush()
    return Submission(job, turns.ahead(session, job), fresh=True)


def asker(
    session: Session, member_id: int, guild_id: int | None, name: str = "", locale: str | None = None
) -> Member:
    """The member who asks, locked like their guild against a pause."""
    if guild_id is not None:
        holds.guild(session, guild_id)
    return members.member(session, member_id, name, locale)


def may_ask(session: Session, member: Member, guild_id: int | None) -> None:
    """Whether a member, locked by `asker`, may have one more entry in the queue.

    Raises:
        Banned, Paused, QueueFull
    """
    ban = holds.active_ban(session, member.id, guild_id)
    if ban is not None:
        raise Banned(ban.reason, ban.expires_at)
    if holds.is_paused(session, guild_id):
        raise Paused
    if _entries(session, member.id) >= member.waiting_limit:
        raise QueueFull(member.waiting_limit)


def _same(session: Session, draft: JobDraft) -> Job | None:
    if draft.interaction_id is not None:
        job = session.scalar(select(Job).where(Job.interaction_id == draft.interaction_id))
        if job is not None:
            return job
    if draft.press is None or draft.token_expires_at is None:
        return None
    # The token's end tells when the press came in: on a busy machine one waits longer than the other.
    first, last = draft.token_expires_at - SAME_PRESS_MS, draft.token_expires_at + SAME_PRESS_MS
    recent = select(Job).where(
        Job.press == draft.press, Job.token_expires_at > first, Job.token_expires_at < last
    )
    return session.scalar(recent.order_by(Job.id.desc()).limit(1))


def _entries(session: Session, member_id: int) -> int:
    """How many entries of a member's wait; all the jobs of a batch are one."""
    entry = func.coalesce(Job.batch_id, -Job.id)
    count = select(func.count(entry.distinct())).where(Job.member_id == member_id, text(QUEUED))
    return session.scalars(count).one()


def claim(
    session: Session, worker_id: int, models: Collection[str], loaded: Collection[str] = ()
) -> Claim | None:
    """Take the next job for a worker that serves `models` and has `loaded` some of them; None: nothing to do.

    Raises:
        Stale: this worker was given up as lost, or has stopped.
    """
    if session.scalar(select(Worker.stopped_at).where(Worker.id == worker_id)) is not None:
        raise Stale
    passed: list[int] = []
    while (member := turns.next_member(session, models, loaded, passed)) is not None:
        job = turns.next_job(session, member.id, models, loaded)
        if job is None:
            # What made it this member's turn was cancelled in the instant before the row was locked.
            passed.append(member.id)
            continue
        _start(session, worker_id, member, job)
        try:
            request = GenerationRequest.model_validate(job.request)
        except ValidationError as error:
            fail(session, job.id, job.attempts, ErrorCode.CRASHED, str(error), retry=False)
            continue
        alone = job.attempts - job.handbacks > 1
        return Claim(job.id, job.attempts, request, alone, job.cancel_requested_at is not None)
    return None


def _start(session: Session, worker_id: int, member: Member, job: Job) -> None:
    turn, at = turns.draw(session), now(session)
    member.served = turn
    member.waiting -= 1
    member.running += 1
    _move(job, JobState.RUNNING)
    job.worker_id = worker_id
    job.attempts += 1
    job.started_at = at
    session.flush()


def finish(
    session: Session,
    job_id: int,
    attempt: int,
    pictures: Sequence[Picture],
    timings: dict[str, Any],
    result: dict[str, Any] | None = None,
    movie_key: str | None = None,
) -> Job:
    """The attempt made its pictures: succeeded, or withheld when all of them are. Words are the `result`.

    Raises:
        Stale: the attempt is not the job's any more; delete the pictures.
    """
    member, job = _mine(session, job_id, attempt)
    at = now(session)
    session.add_all(picture.row(job, at) for picture in pictures)
    job.timings = timings
    job.result = result
    job.movie_key = movie_key
    job.error_code = job.error_detail = None
    withheld = bool(pictures) and all(picture.withheld for picture in pictures)
    _leave(session, member, job, at, jobs=1, images=len(pictures))
    _end(session, job, JobState.WITHHELD if withheld else JobState.SUCCEEDED, at)
    return job


def fail(
    session: Session, job_id: int, attempt: int, code: ErrorCode, detail: str, *, retry: bool
) -> JobState:
    """The attempt failed: queued again when another may help and fewer than three failed, else failed for
    good.

    Raises:
        Stale: the attempt is not the job's any more.
    """
    member, job = _mine(session, job_id, attempt, may_wait=retry)
    at = now(session)
    _leave(session, member, job, at)
    job.error_code, job.error_detail = code.value, detail
    if retry and job.attempts - job.handbacks < ATTEMPTS:
        _wait_again(session, member, job, at)
    else:
        _end(session, job, JobState.FAILED, at)
    return JobState(job.state)


def hand_back(session: Session, job_id: int, attempt: int) -> None:
    """The worker shuts down: the job waits again, and the attempt does not count.

    Raises:
        Stale: the attempt is not the job's any more.
    """
    member, job = _mine(session, job_id, attempt, may_wait=True)
    at = now(session)
    _leave(session, member, job, at)
    job.handbacks += 1
    _wait_again(session, member, job, at)


def stopped(session: Session, job_id: int, attempt: int) -> Job:
    """The worker stopped because someone asked for it.

    Raises:
        Stale: the attempt is not the job's any more.
    """
    member, job = _mine(session, job_id, attempt)
    at = now(session)
    _leave(session, member, job, at)
    _end(session, job, JobState.CANCELLED, at)
    return job


def cancel(session: Session, job_id: int) -> JobState:
    """Cancel a waiting job at once; ask the worker of a running one to stop. Returns the state it is in then.

    Raises:
        NoSuchJob: there is none of this number.
        AlreadyFinished: nothing is left to cancel.
    """
    member, job = _locked(session, job_id)
    state = JobState(job.state)
    if state.finished:
        raise AlreadyFinished(state)
    at = now(session)
    job.cancel_requested_at = job.cancel_requested_at or at
    if state is JobState.QUEUED:
        if not job.held:
            holds.wait(session, member, -1)
        _end(session, job, JobState.CANCELLED, at)
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
            _leave(session, member, job, at)
        elif not job.held:
            holds.wait(session, member, -1)
        _move(job, JobState.CANCELLED)
        job.held = False
        job.finished_at = at
    session.flush()
    return unfinished


def _locked(session: Session, job_id: int, *, may_wait: bool = False) -> tuple[Member, Job]:
    """The job and its member as they are now, locked; with `may_wait` also against a pause of the guild."""
    whose = session.execute(select(Job.member_id, Job.guild_id).where(Job.id == job_id)).one_or_none()
    if whose is None:
        raise NoSuchJob(job_id)
    member_id, guild_id = whose
    if may_wait and guild_id is not None:
        holds.guild(session, guild_id)
    member = members.lock(session, member_id)
    job = session.get_one(Job, job_id, populate_existing=True, with_for_update={"key_share": True})
    return member, job


def _mine(session: Session, job_id: int, attempt: int, *, may_wait: bool = False) -> tuple[Member, Job]:
    member, job = _locked(session, job_id, may_wait=may_wait)
    if job.state != JobState.RUNNING or job.attempts != attempt:
        raise Stale
    return member, job


def _move(job: Job, state: JobState) -> None:
    assert JobState(job.state).may_become(state), f"job {job.id}: {job.state} never becomes {state}"
    job.state = state.value
    job.sequence += 1


def _leave(session: Session, member: Member, job: Job, at: int, *, jobs: int = 0, images: int = 0) -> None:
    """The attempt is over, in whatever way."""
    member.running -= 1
    job.worker_id = None
    busy_ms = max(0, at - (job.started_at or at))
    members.add_usage(session, member.id, at, jobs=jobs, images=images, busy_ms=busy_ms)


def _wait_again(session: Session, member: Member, job: Job, at: int) -> None:
    if job.cancel_requested_at is not None:
        _end(session, job, JobState.CANCELLED, at)
        return
    _move(job, JobState.QUEUED)
    job.held = holds.is_held(session, job)
    if not job.held:
        # Not by `holds.wait`: whose attempt was lost keeps their turn.
        member.waiting += 1
    session.flush()


def _end(session: Session, job: Job, state: JobState, at: int) -> None:
    """The job is finished; what its member must hear is written in the same transaction."""
    _move(job, state)
    job.held = False
    job.finished_at = at
    session.add(_result(job, at))
    if state is JobState.SUCCEEDED and _wants_copy(session, job):
        session.add(_copy(job, at))
    session.flush()


def _result(job: Job, at: int) -> Delivery:
    return Delivery(
        job_id=job.id,
        kind="result",
        once=f"result:{job.id}",
        member_id=job.member_id,
        guild_id=job.guild_id,
        channel_id=job.channel_id,
        locale=job.locale,
        reply_to=job.reply_to,
        upload_limit=job.upload_limit,
        user_install=job.user_install,
        ephemeral=job.ephemeral,
        interaction_token=job.interaction_token,
        token_expires_at=job.token_expires_at,
        due_at=at,
        created_at=at,
    )


def _wants_copy(session: Session, job: Job) -> bool:
    """Whether the member has the pictures that they ask for elsewhere sent to their direct messages too."""
    elsewhere = job.guild_id is not None or job.user_install
    settings = session.get_one(Member, job.member_id).settings
    return bool(settings.get("auto_dm")) and elsewhere and job.result is None


def _copy(job: Job, at: int) -> Delivery:
    """Its channel is found when it is sent; the token only serves to say that it could not be."""
    return Delivery(
        job_id=job.id,
        kind="direct",
        once=f"direct:{job.id}",
        member_id=job.member_id,
        locale=job.locale,
        interaction_token=job.interaction_token,
        token_expires_at=job.token_expires_at,
        due_at=at,
        created_at=at,
    )


def get(session: Session, job_id: int) -> Job:
    """The job of this number.

    Raises:
        NoSuchJob: there is none.
        DataDeleted: its member deleted their data.
    """
    job = session.get(Job, job_id)
    if job is None:
        raise NoSuchJob(job_id)
    if job.deleted_at is not None:
        raise DataDeleted(job_id)
    return job


def check_seen_by(job: Job, member_id: int) -> None:
    """Raise NotYours where somebody else made the job in stealth."""
    if job.stealth and job.member_id != member_id:
        raise NotYours


def seen(session: Session, job_id: int, member_id: int) -> Job:
    """The job of this number, for a member.

    Raises:
        NoSuchJob, DataDeleted, NotYours
    """
    job = get(session, job_id)
    check_seen_by(job, member_id)
    return job


def seen_image(session: Session, image_id: int, member_id: int) -> tuple[Image, Job]:
    """An image and the job that made it, for a member.

    Raises:
        NoSuchImage, DataDeleted, NotYours
    """
    found, job = image(session, image_id)
    check_seen_by(job, member_id)
    return found, job


def images_of(session: Session, job_id: int) -> list[Image]:
    """The job's images by their place in the grid, without those deleted since."""
    query = select(Image).where(Image.job_id == job_id, Image.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Image.index)))


def image(session: Session, image_id: int) -> tuple[Image, Job]:
    """An image and the job that made it.

    Raises:
        NoSuchImage: there is none, or not any more.
        DataDeleted: its member deleted their data.
    """
    found = session.get(Image, image_id)
    if found is None:
        raise NoSuchImage(image_id)
    job = get(session, found.job_id)
    if found.deleted_at is not None:
        raise NoSuchImage(image_id)
    return found, job


def ahead(session: Session, job_id: int) -> int:
    """About how many waiting jobs come before this one; 0 when it waits no more."""
    job = get(session, job_id)
    return turns.ahead(session, job) if job.state == JobState.QUEUED else 0


def waiting(session: Session) -> int:
    """How many jobs wait for a worker."""
    return session.scalars(select(func.count()).select_from(Job).where(text(QUEUED))).one()


def unfinished(session: Session) -> list[Job]:
    """Every job that waits or runs, by age."""
    return list(session.scalars(select(Job).where(text(UNFINISHED)).order_by(Job.id)))


def set_progress_message(session: Session, job_id: int, message_id: int) -> None:
    session.execute(update(Job).where(Job.id == job_id).values(progress_message_id=message_id))


def take_up(
    session: Session, job_id: int, *, message_id: int, interaction_token: str, token_expires_at: int
) -> Job:
    """Go on with a fresh token in the message that was pressed; a job that is finished is left as it is."""
    _, job = _locked(session, job_id)
    if not JobState(job.state).finished:
        job.interaction_token, job.token_expires_at = interaction_token, token_expires_at
        job.progress_message_id = message_id
        session.flush()
    return job


def forget_token(session: Session, job_id: int) -> None:
    """Wipe the interaction's token: nobody will need it any more."""
    session.execute(update(Job).where(Job.id == job_id).values(interaction_token=None))
    session.execute(update(Delivery).where(Delivery.job_id == job_id).values(interaction_token=None))
