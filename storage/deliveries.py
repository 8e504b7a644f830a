"""Deliveries, results and news that must reach a member, and the messages that show pictures.

A delivery is open until its message is known. `attempt` is committed before the request to Discord and
`posted` after it: whoever finds one attempted and open looks whether the message is there before posting
again. One that is posted is never posted again, however long it takes to tidy up.

A job's row is locked before its deliveries', and those in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, TextClause, and_, or_, select, text, update
from sqlalchemy.orm import Session

from storage import jobs, members, restrictions
from storage.contract import Action, JobState
from storage.database import now
from storage.errors import NoSuchImage, NoSuchMessage, Stale
from storage.tables import OPEN, Address, Delivery, Image, Job, Member, Message

SINGLE = "single"
RESULT = "result"
AGAIN = "again"
DIRECT = "direct"

CHANNEL = "channel"
ANSWER = "answer"
TOKEN = "token"  # noqa: S105 - how a message is posted

WITHDRAWN = "withdrawn"
UNFINISHED = ("open", "posted", WITHDRAWN)
_TRIED = or_(Delivery.attempted_at.is_not(None), Delivery.message_id.is_not(None))
# What was given up may be there all the same: nobody could tell, or could tidy up.
_PERHAPS_POSTED = or_(text(OPEN), Delivery.state == "done", and_(Delivery.state == "given_up", _TRIED))
HOLD_MS = 10_000
"""After this another bot may take up what one had taken, should it have died."""


@dataclass(frozen=True)
class Used:
    """Buttons of a grid that were pressed already; indexes count from 0."""

    picked: frozenset[int] = frozenset()
    """Pictures taken out of it (U)."""
    made: frozenset[tuple[Action, int | None]] = frozenset()
    """Jobs made of it: each one's action, and the picture that it is about."""

    def has(self, action: Action | None, index: int | None) -> bool:
        """True if the button of an action (None for U) was pressed for a picture, or (None) for the grid."""
        if action is None:
            return index in self.picked
        return any(made == action and index in (None, of) for made, of in self.made)


def request_single(session: Session, address: Address, *, image_id: int, once: str) -> Delivery:
    """Ask for one picture of a grid by itself (U). The same press, or another within three seconds, is the
    same.

    Raises:
        NoSuchImage: it is not there any more, or withheld.
        Banned: the member may not ask here.
    """
    member = members.member(session, address.member_id, locale=address.locale)
    image, job = jobs.image(session, image_id)
    if image.withheld:
        raise NoSuchImage(image_id)
    restrictions.check_banned(session, member.id, address.guild_id)
    at = now(session)
    known = _known(session, once) or _same_press(session, address, image_id, at)
    return known or _add(session, address, job, at, kind=SINGLE, once=once, image_id=image_id)


def request_again(session: Session, address: Address, *, job_id: int, once: str) -> Delivery:
    """Ask for a finished job's pictures once more, with fresh buttons (`/show`); one for each `once`."""
    known = _known(session, once)
    return known or _add(session, address, jobs.get(session, job_id), now(session), kind=AGAIN, once=once)


def announce(session: Session, job: Job, at: int) -> None:
    """A job has ended: its member must hear of it, in their direct messages too where they want that."""
    _add(session, job.address, job, at, kind=RESULT, once=f"result:{job.id}")
    if job.state == JobState.SUCCEEDED and _wants_copy(session, job):
        # Its channel is found when it is sent; the token only serves to say that it could not be.
        home = Address(
            job.member_id,
            locale=job.locale,
            interaction_token=job.interaction_token,
            token_expires_at=job.token_expires_at,
        )
        _add(session, home, job, at, kind=DIRECT, once=f"direct:{job.id}")


def _wants_copy(session: Session, job: Job) -> bool:
    """True if the member has the pictures that they ask for elsewhere sent to their direct messages too."""
    elsewhere = job.guild_id is not None or job.user_install
    settings = session.get_one(Member, job.member_id).settings
    pictured = select(Image.id).where(Image.job_id == job.id, jobs.visible()).limit(1)
    return bool(settings.get("auto_dm")) and elsewhere and session.scalar(pictured) is not None


def _add(session: Session, address: Address, job: Job, at: int, **what: str | int) -> Delivery:
    delivery = Delivery(
        **address.columns_of(Delivery, at),
        **what,
        job_id=job.id,
        ephemeral=address.ephemeral(stealth=job.stealth),
        due_at=at,
        created_at=at,
    )
    session.add(delivery)
    session.flush()
    return delivery


def _known(session: Session, once: str) -> Delivery | None:
    return session.scalar(select(Delivery).where(Delivery.once == once))


def _same_press(session: Session, address: Address, image_id: int, at: int) -> Delivery | None:
    pressed = select(Delivery).where(
        Delivery.image_id == image_id,
        Delivery.member_id == address.member_id,
        Delivery.kind == SINGLE,
        address.same_moment(Delivery, at),
    )
    return session.scalar(pressed.order_by(Delivery.id.desc()).limit(1))


def get(session: Session, delivery_id: int) -> Delivery:
    return session.get_one(Delivery, delivery_id)


def take(session: Session, limit: int, hold_ms: int = HOLD_MS) -> list[Delivery]:
    """Deliveries that are not closed and due, the oldest first, kept from other bots for `hold_ms`."""
    at = now(session)
    due = (
        select(Delivery)
        .where(text(OPEN), Delivery.due_at <= at)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    taken = list(session.scalars(due))
    for delivery in taken:
        delivery.due_at = at + hold_ms
        delivery.tries += 1
    session.flush()
    return taken


def attempt(session: Session, delivery_id: int, by: str = CHANNEL, *, tries: int | None = None) -> None:
    """Note that the request is about to go out, and how (CHANNEL, ANSWER, TOKEN). Commit before sending it.

    With `tries` as it was when taken, another bot's taking it since is noticed.

    Raises:
        Stale: the delivery is closed, its pictures were taken away, or another bot has it.
    """
    delivery = _locked(session, delivery_id)
    if delivery.state != "open" or (tries is not None and delivery.tries != tries):
        raise Stale
    # The first attempt's time stays: a search for what it posted must reach back to it.
    delivery.attempted_at = delivery.attempted_at or now(session)
    delivery.attempted_by = by
    session.flush()


def hold(session: Session, delivery_ids: Collection[int], hold_ms: int = HOLD_MS) -> None:
    """Keep deliveries that are under way from other bots for so much longer."""
    mine = lock(session, Delivery.id.in_(delivery_ids), text(OPEN))
    session.execute(update(Delivery).where(Delivery.id.in_(mine)).values(due_at=now(session) + hold_ms))


def posted(session: Session, delivery_id: int, message: Message) -> str:
    """The pictures are shown in `message`; what is left is to be tidied up. Returns the state it is in then.

    Where they were taken away meanwhile, so has the message to be: `withdrawn` deliveries see to that.
    """
    message.created_at = message.created_at or now(session)
    session.merge(message)
    session.flush()
    return told(session, delivery_id, message.id)


def told(session: Session, delivery_id: int, message_id: int) -> str:
    """The same for a sentence in place of the pictures."""
    delivery = _locked(session, delivery_id)
    delivery.message_id = message_id
    if delivery.state == "open":
        # Tidying counts its tries anew.
        delivery.state, delivery.tries, delivery.error = "posted", 0, None
    elif delivery.state == WITHDRAWN:
        delivery.due_at = now(session)
    session.flush()
    return delivery.state


def withdraw(session: Session, *which: ColumnElement[bool]) -> None:
    """The pictures of these deliveries were taken away: what is posted of them, or may be, is to be deleted.

    One that is under way is left to whoever has it, for as long as they live.
    """
    at = now(session)
    for delivery in _all_locked(session, _PERHAPS_POSTED, *which):
        delivery.due_at = min(delivery.due_at, at + HOLD_MS) if delivery.state in UNFINISHED else at
        delivery.state, delivery.tries, delivery.failures = WITHDRAWN, 0, 0
    session.flush()


def redirect(session: Session, delivery_id: int, channel_id: int) -> None:
    """Deliver to the member's direct messages instead, as if nothing had been tried."""
    delivery = _locked(session, delivery_id)
    if delivery.state != "open":
        return
    delivery.channel_id, delivery.guild_id, delivery.reply_to = channel_id, None, None
    delivery.user_install = delivery.ephemeral = False
    delivery.interaction_token = None
    delivery.attempted_at = delivery.attempted_by = None
    delivery.due_at = now(session)
    session.flush()


def set_channel(session: Session, delivery_id: int, channel_id: int) -> None:
    """The channel of a delivery that was written before it was known."""
    delivery = _locked(session, delivery_id)
    if delivery.state == "open":
        delivery.channel_id = channel_id
        session.flush()


def has_copy(session: Session, job_id: int) -> bool:
    """True if the job's result also has, or had, a delivery to its member's direct messages."""
    copies = select(Delivery.id).where(Delivery.job_id == job_id, Delivery.kind == DIRECT)
    return session.scalar(copies.limit(1)) is not None


def done(session: Session, delivery_id: int) -> None:
    """The delivery reached its member. Closes it; again is no harm."""
    _close(session, delivery_id, "done", None)


def give_up(session: Session, delivery_id: int, error: str) -> None:
    """It cannot be delivered: the channel is gone, or nothing may be posted there."""
    _close(session, delivery_id, "given_up", error)


def withdrawn(session: Session, delivery_id: int, error: str = "the pictures were taken away") -> None:
    """Whatever was posted of pictures that were taken away is deleted, as far as it can be."""
    _close(session, delivery_id, "given_up", error, of=(WITHDRAWN,))


def later(session: Session, delivery_id: int, error: str, delay_ms: int, *, refused: bool = False) -> None:
    """Try again after `delay_ms`. `refused`: Discord surely posted nothing, so the next try need not look."""
    delivery = _locked(session, delivery_id)
    if delivery.state not in UNFINISHED:
        return
    delivery.error = error
    delivery.due_at = now(session) + delay_ms
    if refused and delivery.state != "posted":
        delivery.attempted_at = delivery.attempted_by = None
    session.flush()


def failed(session: Session, delivery_id: int, error: str, delay_ms: int) -> None:
    """An error that nobody foresaw: count it, and try again after `delay_ms`."""
    later(session, delivery_id, error, delay_ms)
    _locked(session, delivery_id).failures += 1
    session.flush()


def lock(session: Session, *which: ColumnElement[bool] | TextClause) -> list[int]:
    """Lock deliveries in the order of their ids, as everybody does; returns the ids."""
    return [delivery.id for delivery in _all_locked(session, *which)]


def _all_locked(session: Session, *which: ColumnElement[bool] | TextClause) -> list[Delivery]:
    in_order = select(Delivery).where(*which).order_by(Delivery.id).with_for_update()
    return list(session.scalars(in_order.execution_options(populate_existing=True)))


def _locked(session: Session, delivery_id: int) -> Delivery:
    return session.get_one(Delivery, delivery_id, populate_existing=True, with_for_update=True)


def _close(
    session: Session,
    delivery_id: int,
    state: str,
    error: str | None,
    of: Collection[str] = ("open", "posted"),
) -> None:
    """Close a delivery in one of the states `of`; in another it is left as it is."""
    known = session.get_one(Delivery, delivery_id)
    job = select(Job).where(Job.id == known.job_id).with_for_update(key_share=True)
    of_result = session.scalar(job) if known.kind == RESULT else None
    delivery = _locked(session, delivery_id)
    if delivery.state not in of:
        return
    if of_result is not None:
        of_result.interaction_token = None
    delivery.state, delivery.error = state, error
    delivery.interaction_token = None
    session.flush()


def unknown(session: Session, message_ids: Collection[int]) -> list[int]:
    """Ids of messages that no delivery has noted as its own."""
    return [id_ for id_ in message_ids if session.get(Message, id_) is None]


def shown(session: Session, message_id: int) -> Message | None:
    """The row of a message of ours: the job or picture that it shows; None for any other message."""
    return session.get(Message, message_id)


def locale_of(session: Session, job_id: int, message_id: int) -> str | None:
    """The locale of whoever a message of a job's pictures was posted for."""
    posted = (Delivery.job_id == job_id, Delivery.message_id == message_id)
    return session.scalar(select(Delivery.locale).where(*posted))


def job_of_message(session: Session, message_id: int) -> Job:
    """The job that a message of ours is about: its pictures, its progress, or why there are none.

    Raises:
        NoSuchMessage: no job is.
        DataDeleted: the job's member deleted their data.
    """
    message = shown(session, message_id)
    if message is not None:
        return jobs.get(session, message.job_id)
    of_progress = select(Job.id).where(Job.progress_message_id == message_id)
    job_id = session.scalar(of_progress.order_by(Job.id.desc()).limit(1))
    if job_id is None:
        raise NoSuchMessage(message_id)
    return jobs.get(session, job_id)


def messages_of(session: Session, job_id: int) -> list[Message]:
    """The messages that show a job's pictures to others than its member alone, oldest first.

    Those known to be deleted are left out.
    """
    query = select(Message).where(Message.job_id == job_id, Message.deleted_at.is_(None), ~Message.ephemeral)
    return list(session.scalars(query.order_by(Message.id)))


def used(session: Session, job_id: int) -> Used:
    """Buttons of a job's grid that were used, by anyone."""
    picked = select(Image.index).join(Delivery, Delivery.image_id == Image.id)
    picks = session.scalars(picked.where(Delivery.job_id == job_id, Delivery.kind == SINGLE).distinct())
    children = session.execute(
        select(Job.action, Job.parent_index).where(Job.parent_job_id == job_id).distinct()
    ).all()
    return Used(frozenset(picks), frozenset((Action(action), index) for action, index in children))


def used_of_image(session: Session, image_id: int) -> frozenset[Action]:
    """Buttons of a single picture that were used, by anyone."""
    actions = session.scalars(select(Job.action).where(Job.parent_image_id == image_id).distinct())
    return frozenset(Action(action) for action in actions)


def drawn(session: Session, job_id: int) -> list[tuple[int, str]]:
    """The prompts that were drawn of those that a job has found: each one's place, and its text by then."""
    query = select(Job.parent_index, Job.text).where(
        Job.parent_job_id == job_id, Job.action == Action.IMAGINE, Job.parent_index.is_not(None)
    )
    return [(index, text) for index, text in session.execute(query.order_by(Job.id)) if index is not None]
