"""What must reach a member, and the messages that show pictures.

A delivery is open until its message is known. `attempt` is committed before the request to Discord and `done`
after it: whoever finds one attempted and open looks whether the message is there before posting again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from storage import holds, jobs, members
from storage.contract import Action
from storage.database import now
from storage.errors import Banned, NoSuchImage, NoSuchMessage, Stale
from storage.tables import OPEN, Delivery, Image, Job, Message, is_ephemeral

SINGLE = "single"
RESULT = "result"
AGAIN = "again"
DIRECT = "direct"


@dataclass(frozen=True)
class Used:
    """Which buttons of a grid were pressed already; indexes count from 0."""

    picked: frozenset[int]
    varied: frozenset[int]
    rerolled: bool
    remixed: frozenset[int] = frozenset()
    """Varied with other words."""


def request_single(
    session: Session,
    *,
    image_id: int,
    member_id: int,
    once: str,
    channel_id: int | None,
    guild_id: int | None = None,
    reply_to: int | None = None,
    locale: str | None = None,
    upload_limit: int = 10 * 2**20,
    user_install: bool = False,
    interaction_token: str | None = None,
    token_expires_at: int | None = None,
) -> Delivery:
    """Ask for one picture of a grid by itself (U). The same press, or another within three seconds, is the
    same.

    Raises:
        NoSuchImage: it is not there any more, or withheld.
        Banned: the member may not ask here.
    """
    member = members.member(session, member_id, locale=locale)
    picture, job = jobs.image(session, image_id)
    if picture.withheld:
        raise NoSuchImage(image_id)
    ban = holds.active_ban(session, member.id, guild_id)
    if ban is not None:
        raise Banned(ban.reason, ban.expires_at)
    at = now(session)
    existing = _same_press(session, once, member_id, image_id, at)
    if existing is not None:
        return existing
    delivery = Delivery(
        job_id=job.id,
        image_id=image_id,
        kind=SINGLE,
        once=once,
        member_id=member_id,
        guild_id=guild_id,
        channel_id=channel_id,
        reply_to=reply_to,
        locale=locale,
        upload_limit=upload_limit,
        user_install=user_install,
        ephemeral=is_ephemeral(guild_id, stealth=job.stealth, user_install=user_install),
        interaction_token=interaction_token,
        token_expires_at=token_expires_at,
        due_at=at,
        created_at=at,
    )
    session.add(delivery)
    session.flush()
    return delivery


def request_again(
    session: Session,
    *,
    job_id: int,
    once: str,
    channel_id: int | None,
    guild_id: int | None = None,
    locale: str | None = None,
    upload_limit: int = 10 * 2**20,
    user_install: bool = False,
    interaction_token: str | None = None,
    token_expires_at: int | None = None,
) -> Delivery:
    """Ask for a finished job's pictures once more, with fresh buttons (`/show`); one for each `once`."""
    known = session.scalar(select(Delivery).where(Delivery.once == once))
    if known is not None:
        return known
    at = now(session)
    job = jobs.get(session, job_id)
    delivery = Delivery(
        job_id=job.id,
        kind=AGAIN,
        once=once,
        member_id=job.member_id,
        guild_id=guild_id,
        channel_id=channel_id,
        locale=locale,
        upload_limit=upload_limit,
        user_install=user_install,
        ephemeral=is_ephemeral(guild_id, stealth=job.stealth, user_install=user_install),
        interaction_token=interaction_token,
        token_expires_at=token_expires_at,
        due_at=at,
        created_at=at,
    )
    session.add(delivery)
    session.flush()
    return delivery


def _same_press(session: Session, once: str, member_id: int, image_id: int, at: int) -> Delivery | None:
    known = session.scalar(select(Delivery).where(Delivery.once == once))
    if known is not None:
        return known
    recent = select(Delivery).where(
        Delivery.image_id == image_id,
        Delivery.member_id == member_id,
        Delivery.kind == SINGLE,
        Delivery.created_at > at - jobs.SAME_PRESS_MS,
    )
    return session.scalar(recent.order_by(Delivery.id.desc()).limit(1))


def get(session: Session, delivery_id: int) -> Delivery:
    return session.get_one(Delivery, delivery_id)


def take(session: Session, limit: int, hold_ms: int) -> list[Delivery]:
    """Open deliveries that are due, the oldest first, kept from other bots for `hold_ms`."""
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


def attempt(session: Session, delivery_id: int, *, tries: int | None = None) -> None:
    """Note that the request is about to go out. Commit before sending it.

    With `tries` as it was when taken, another bot's taking it since is noticed.

    Raises:
        Stale: the delivery is closed, or another bot's.
    """
    delivery = _open(session, delivery_id)
    if delivery is None or (tries is not None and delivery.tries != tries):
        raise Stale
    # The first attempt's time stays: a search for what it posted must reach back to it.
    delivery.attempted_at = delivery.attempted_at or now(session)
    session.flush()


def hold(session: Session, delivery_ids: Collection[int], hold_ms: int) -> None:
    """Keep deliveries that are under way from other bots for so much longer."""
    mine = update(Delivery).where(Delivery.id.in_(delivery_ids), Delivery.state == "open")
    session.execute(mine.values(due_at=now(session) + hold_ms))


def posted(session: Session, delivery_id: int, message: Message) -> None:
    """The pictures are shown in `message`. The delivery stays open until what is left is tidied up."""
    delivery = _open(session, delivery_id)
    message.created_at = message.created_at or now(session)
    session.merge(message)
    if delivery is not None:
        delivery.message_id = message.id
    session.flush()


def redirect(session: Session, delivery_id: int, channel_id: int) -> None:
    """Deliver to the member's direct messages instead, as if nothing had been tried."""
    delivery = _open(session, delivery_id)
    if delivery is None:
        return
    delivery.channel_id, delivery.guild_id, delivery.reply_to = channel_id, None, None
    delivery.user_install = delivery.ephemeral = False
    delivery.interaction_token = None
    delivery.attempted_at = None
    delivery.due_at = now(session)
    session.flush()


def address(session: Session, delivery_id: int, channel_id: int) -> None:
    """The channel of a delivery that was written before it was known."""
    delivery = _open(session, delivery_id)
    if delivery is not None:
        delivery.channel_id = channel_id
        session.flush()


def has_copy(session: Session, job_id: int) -> bool:
    """Whether the job's result also has, or had, a delivery to its member's direct messages."""
    copies = select(Delivery.id).where(Delivery.job_id == job_id, Delivery.kind == DIRECT)
    return session.scalar(copies.limit(1)) is not None


def done(session: Session, delivery_id: int, message: Message | None = None) -> None:
    """The delivery reached its member, in `message` when that shows pictures. Closes it; again is no harm."""
    if message is not None:
        message.created_at = message.created_at or now(session)
        session.merge(message)
    _close(session, delivery_id, "done", None if message is None else message.id, None)


def give_up(session: Session, delivery_id: int, error: str) -> None:
    """It cannot be delivered: the channel is gone, or nothing may be posted there."""
    _close(session, delivery_id, "given_up", None, error)


def later(session: Session, delivery_id: int, error: str, delay_ms: int, *, refused: bool = False) -> None:
    """Try again after `delay_ms`. `refused`: Discord surely posted nothing, so the next try need not look."""
    delivery = _open(session, delivery_id)
    if delivery is None:
        return
    delivery.error = error
    delivery.due_at = now(session) + delay_ms
    if refused:
        delivery.attempted_at = None
    session.flush()


def _open(session: Session, delivery_id: int) -> Delivery | None:
    delivery = session.get_one(Delivery, delivery_id, populate_existing=True, with_for_update=True)
    return delivery if delivery.state == "open" else None


def _close(session: Session, delivery_id: int, state: str, message_id: int | None, error: str | None) -> None:
    delivery = _open(session, delivery_id)
    if delivery is None:
        return
    delivery.state = state
    delivery.message_id = message_id or delivery.message_id
    delivery.error = error
    delivery.interaction_token = None
    if delivery.kind == RESULT:
        session.execute(update(Job).where(Job.id == delivery.job_id).values(interaction_token=None))
    session.flush()


def shown(session: Session, message_id: int) -> Message | None:
    """What a message of ours shows."""
    return session.get(Message, message_id)


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
    """The messages that show a job's pictures, oldest first, without those known to be deleted."""
    query = select(Message).where(Message.job_id == job_id, Message.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Message.id)))


def message_deleted(session: Session, message_id: int) -> None:
    session.execute(update(Message).where(Message.id == message_id).values(deleted_at=now(session)))


def used(session: Session, job_id: int) -> Used:
    """Which buttons of a job's grid were used, by anyone."""
    picked = select(Image.index).join(Delivery, Delivery.image_id == Image.id)
    picks = session.scalars(picked.where(Delivery.job_id == job_id, Delivery.kind == SINGLE).distinct())
    children = session.execute(
        select(Job.action, Job.parent_index).where(Job.parent_job_id == job_id).distinct()
    ).all()

    def indexes(of: Action) -> frozenset[int]:
        return frozenset(index for action, index in children if action == of and index is not None)

    return Used(
        picked=frozenset(picks),
        varied=indexes(Action.VARY),
        rerolled=any(action == Action.REROLL for action, _ in children),
        remixed=indexes(Action.REMIX),
    )


def used_of_image(session: Session, image_id: int) -> frozenset[Action]:
    """Which buttons of a single picture were used, by anyone."""
    actions = session.scalars(select(Job.action).where(Job.parent_image_id == image_id).distinct())
    return frozenset(Action(action) for action in actions)
