"""Batches: several jobs of one prompt, confirmed at once, one entry in the queue, one progress message.

A batch is proposed with all that its jobs will be; only its member's yes gives them rows. Its row is locked
after its member's and before its jobs'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.orm import Session

from storage import jobs, members, restrictions, states, submissions
from storage.database import now
from storage.drafts import JobDraft
from storage.errors import AlreadyFinished, BatchClosed, BatchesFull, NoSuchBatch, NotYours
from storage.tables import LIVE, QUEUED, SAME_PRESS_MS, UNFINISHED, Address, Batch, Delivery, Job

LARGEST = 40
"""Jobs in one batch."""
ANSWER_MS = 15 * 60_000
"""For so long a proposed batch waits for its yes: the life of the token that asks."""

PROPOSED = "proposed"
CONFIRMED = "confirmed"
DECLINED = "declined"
EXPIRED = "expired"
FINISHED = "finished"


@dataclass(frozen=True)
class Tally:
    """Numbers of a batch's jobs by state."""

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    withheld: int = 0

    @property
    def size(self) -> int:
        return self.queued + self.running + self.ended

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.cancelled + self.withheld

    @property
    def finished(self) -> bool:
        """None waits or runs any more."""
        return self.queued + self.running == 0


@dataclass(frozen=True)
class Confirmation:
    """A batch whose jobs have rows."""

    batch: Batch
    fresh: bool
    """False: the same press, within three seconds, had confirmed it already."""
    question_token: str | None
    """The token of the command, by which its question can still be changed."""


def propose(
    session: Session, draft: JobDraft, typed: str, planned: Sequence[dict[str, Any]], *, most: int
) -> Batch:
    """Write a batch that waits for its member's yes, or find the one that this interaction made before.

    `draft` says who asks and where, `planned` what each job will be: JSON that `confirm`'s caller can read.
    A member may have `most` jobs of batches waiting.

    Raises:
        Banned, Paused, QueueFull, BatchesFull: nothing was written.
    """
    assert 0 < len(planned) <= LARGEST
    member = submissions.asker(session, draft.address, draft.member_name)
    if draft.interaction_id is not None:
        known = session.scalar(select(Batch).where(Batch.interaction_id == draft.interaction_id))
        if known is not None:
            return known
    submissions.may_ask(session, member, draft.address.guild_id)
    _check_room(session, member.id, len(planned), most)
    at = now(session)
    batch = Batch(
        **draft.address.columns_of(Batch, at),
        text=typed,
        size=len(planned),
        planned=list(planned),
        created_at=at,
        expires_at=at + ANSWER_MS,
        interaction_id=draft.interaction_id,
        stealth=draft.stealth,
    )
    session.add(batch)
    session.flush()
    return batch


def confirm(
    session: Session, batch_id: int, draft: Callable[[dict[str, Any]], JobDraft], *, most: int
) -> Confirmation:
    """Give the jobs of a batch their rows: `draft` makes one of each job that it planned.

    Raises:
        NoSuchBatch, BatchClosed: it was answered already, or its time is over.
        Banned, Paused, QueueFull, BatchesFull, and what `draft` raises: nothing was written.
    """
    proposed = get(session, batch_id)
    member = submissions.asker(session, proposed.address)
    batch = _locked(session, batch_id)
    at = now(session)
    if batch.state == CONFIRMED and at - (batch.confirmed_at or 0) < SAME_PRESS_MS:
        return Confirmation(batch, fresh=False, question_token=None)
    if batch.state != PROPOSED:
        raise BatchClosed(batch.state)
    if at >= batch.expires_at:
        raise BatchClosed(EXPIRED)
    submissions.may_ask(session, member, batch.guild_id)
    _check_room(session, member.id, len(batch.planned), most)
    drafts = [draft(job) for job in batch.planned]
    question_token = batch.interaction_token
    batch.state, batch.confirmed_at, batch.planned = CONFIRMED, at, []
    pressed = drafts[0].address
    batch.interaction_token, batch.token_expires_at = pressed.interaction_token, pressed.token_ends(at)
    for one in drafts:
        session.add(replace(one, batch_id=batch.id, interaction_id=None, press=None).row(at))
        session.flush()  # one by one: their ids are their order
    restrictions.add_waiting(session, member, len(drafts))
    session.flush()
    return Confirmation(batch, fresh=True, question_token=question_token)


def decline(session: Session, batch_id: int) -> Batch:
    """Its member said no; again is no harm.

    Raises:
        NoSuchBatch, BatchClosed: it was confirmed already.
    """
    batch = _locked(session, batch_id)
    if batch.state not in (PROPOSED, DECLINED):
        raise BatchClosed(batch.state)
    _close(batch, DECLINED)
    session.flush()
    return batch


def cancel(session: Session, batch_id: int) -> list[int]:
    """Cancel what waits and stop what runs of a batch. Returns the ids of those jobs.

    Raises:
        NoSuchBatch: there is none of this number.
        AlreadyFinished: nothing is left to cancel.
    """
    members.lock(session, get(session, batch_id).member_id)
    batch = _locked(session, batch_id)
    live = list(session.scalars(_live_jobs(Job.batch_id == batch_id)))
    if not live:
        raise AlreadyFinished(batch.state)
    batch.cancel_requested_at = batch.cancel_requested_at or now(session)
    for job_id in live:
        states.cancel(session, job_id)
    return live


def resume(session: Session, batch_id: int, message_id: int, fresh: Address) -> list[Job]:
    """Go on with a fresh token in the message that was pressed. Returns the jobs that are left.

    Raises:
        NoSuchBatch: there is none of this number.
    """
    members.lock(session, get(session, batch_id).member_id)
    batch = _locked(session, batch_id)
    live_jobs = list(session.scalars(_live_jobs(Job.batch_id == batch_id)))
    left = [states.resume(session, job_id, None, fresh) for job_id in live_jobs]
    if left:
        batch.interaction_token, batch.token_expires_at = (
            fresh.interaction_token,
            fresh.token_ends(now(session)),
        )
        batch.progress_message_id = message_id
        session.flush()
    return left


def finish(session: Session, batch_id: int) -> None:
    """The batch's last word is said; its token is wiped."""
    _close(_locked(session, batch_id), FINISHED)
    session.flush()


def overdue(session: Session) -> list[int]:
    """Proposed batches that were not answered in time."""
    query = select(Batch.id).where(text(LIVE), Batch.state == PROPOSED, Batch.expires_at <= now(session))
    return list(session.scalars(query))


def expire(session: Session, batch_id: int) -> None:
    """Forget what a batch that was not answered in time would have been."""
    batch = _locked(session, batch_id)
    if batch.state == PROPOSED:
        _close(batch, EXPIRED)
        session.flush()


def get(session: Session, batch_id: int) -> Batch:
    """The batch of this number.

    Raises:
        NoSuchBatch: there is none.
    """
    batch = session.get(Batch, batch_id)
    if batch is None:
        raise NoSuchBatch(batch_id)
    return batch


def own(session: Session, batch_id: int, member_id: int) -> Batch:
    """The member's own batch of this number.

    Raises:
        NoSuchBatch, NotYours
    """
    batch = get(session, batch_id)
    if batch.member_id != member_id:
        raise NotYours
    return batch


def of_message(session: Session, message_id: int) -> Batch | None:
    """The batch of which a message tells how far it is, while it does."""
    live = select(Batch).where(text(LIVE), Batch.progress_message_id == message_id)
    return session.scalar(live.limit(1))


def tally(session: Session, batch_id: int) -> Tally:
    """Count a batch's jobs by state."""
    return tallies(session, [batch_id])[batch_id]


def tallies(session: Session, batch_ids: Sequence[int]) -> dict[int, Tally]:
    counts: dict[int, Counter[str]] = {batch_id: Counter() for batch_id in batch_ids}
    query = select(Job.batch_id, Job.state, func.count()).where(Job.batch_id.in_(batch_ids))
    for batch_id, state, count in session.execute(query.group_by(Job.batch_id, Job.state)):
        if batch_id is not None:
            counts[batch_id][state] = count
    return {batch_id: Tally(**count) for batch_id, count in counts.items()}


def live(session: Session) -> list[int]:
    """The confirmed batches whose last word is not said yet, by age."""
    query = select(Batch.id).where(text(LIVE), Batch.state == CONFIRMED)
    return list(session.scalars(query.order_by(Batch.id)))


def of_member(session: Session, member_id: int) -> list[tuple[Batch, Tally]]:
    """A member's batches of which jobs wait or run, by age."""
    return _with_tallies(session, Job.member_id == member_id)


def of_guild(session: Session, guild_id: int) -> list[tuple[Batch, Tally]]:
    """A guild's batches of which jobs wait or run, by age."""
    return _with_tallies(session, Job.guild_id == guild_id)


def jobs_of(session: Session, batch_id: int) -> list[Job]:
    """A batch's jobs in the order of its permutations."""
    return list(session.scalars(select(Job).where(Job.batch_id == batch_id).order_by(Job.id)))


def set_progress_message(session: Session, batch_id: int, message_id: int) -> None:
    session.execute(update(Batch).where(Batch.id == batch_id).values(progress_message_id=message_id))


def forget_message(session: Session, batch_id: int) -> None:
    """Its progress message was taken away, or is out of reach."""
    gone = update(Batch).where(Batch.id == batch_id)
    session.execute(gone.values(progress_message_id=None, interaction_token=None))


def forget_token(session: Session, batch_id: int) -> None:
    """Wipe the interaction's token of a batch and of its jobs: it is dead."""
    # Whoever locks several jobs has their member's row.
    members.lock(session, get(session, batch_id).member_id)
    session.execute(update(Batch).where(Batch.id == batch_id).values(interaction_token=None))
    session.execute(update(Job).where(Job.batch_id == batch_id).values(interaction_token=None))
    of_batch = select(Job.id).where(Job.batch_id == batch_id)
    jobs.forget_tokens_of(session, Delivery.job_id.in_(of_batch))


def _check_room(session: Session, member_id: int, size: int, most: int) -> None:
    mine = (Job.member_id == member_id, text(QUEUED), Job.batch_id.is_not(None))
    waiting = session.scalars(select(func.count()).select_from(Job).where(*mine)).one()
    if waiting + size > most:
        raise BatchesFull(size, waiting, most)


def _locked(session: Session, batch_id: int) -> Batch:
    get(session, batch_id)
    return session.get_one(Batch, batch_id, populate_existing=True, with_for_update={"key_share": True})


def _close(batch: Batch, state: str) -> None:
    batch.state, batch.planned, batch.interaction_token = state, [], None


def _live_jobs(*of: ColumnElement[bool]) -> Any:
    return select(Job.id).where(text(UNFINISHED), *of).order_by(Job.id)


def _with_tallies(session: Session, of: ColumnElement[bool]) -> list[tuple[Batch, Tally]]:
    ids = select(Job.batch_id).where(of, text(UNFINISHED), Job.batch_id.is_not(None)).distinct()
    found = list(session.scalars(select(Batch).where(Batch.id.in_(ids)).order_by(Batch.id)))
    counted = tallies(session, [batch.id for batch in found])
    return [(batch, counted[batch.id]) for batch in found]
