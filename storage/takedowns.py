"""Pictures that are shown no more: in a guild by its moderators' word, or everywhere by the operator's.

Elsewhere than in that guild, and for their member, they stay. Everywhere: nobody sees them.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, or_, select, text, update
from sqlalchemy.orm import Session

from storage import deliveries, jobs, moderation
from storage.database import now
from storage.errors import Refused
from storage.tables import IN_FORCE, Delivery, Job, Message, Takedown

EVERYWHERE = None
"""In the place of a guild's id."""
OPERATOR = 0
"""Stands for the operator, who decides about everywhere, in the place of a moderator's Discord id."""


class TakenDown(Refused):
    """These pictures are shown no more: in this guild, or `everywhere`."""

    def __init__(self, *, everywhere: bool = False) -> None:
        super().__init__("everywhere" if everywhere else "in this guild")
        self.everywhere = everywhere


def take_down(
    session: Session, job_id: int, guild_id: int | None, by: int, image_id: int | None = None
) -> list[Message]:
    """Show a job's pictures, or one of them, in this guild, or EVERYWHERE, no more.

    Returns the messages there that show them. Their deliveries are withdrawn: the bot deletes the messages,
    however often it has to try.

    Raises:
        NoSuchJob: there is none.
        DataDeleted: its member deleted their data.
    """
    jobs.get(session, job_id)
    at = now(session)
    session.add(Takedown(guild_id=guild_id, job_id=job_id, image_id=image_id, decided_by=by, created_at=at))
    delivered = [Delivery.job_id == job_id]
    shown = deliveries.messages_of(session, job_id)
    if guild_id is not EVERYWHERE:
        delivered.append(Delivery.guild_id == guild_id)
        shown = [one for one in shown if one.guild_id == guild_id]
    if image_id is not None:
        # A grid shows it too.
        others = select(Message.id).where(Message.id == Delivery.message_id, Message.image_id != image_id)
        grid = and_(Delivery.image_id.is_(None), ~others.exists())
        delivered.append(or_(Delivery.image_id == image_id, grid))
        shown = [one for one in shown if one.image_id in (image_id, None)]
    deliveries.withdraw(session, *delivered)
    for message in shown:
        message.deleted_at = at
    session.flush()
    return shown


def restore(session: Session, job_id: int, guild_id: int | None, by: int) -> bool:
    """Let a job's pictures be shown there again; False where none were taken down."""
    mine = update(Takedown).where(Takedown.job_id == job_id, Takedown.guild_id == guild_id, text(IN_FORCE))
    lifted = session.scalars(mine.values(lifted_at=now(session)).returning(Takedown.id)).all()
    if lifted:
        job = session.get_one(Job, job_id)
        moderation.audit(
            session,
            guild_id=job.guild_id if guild_id is EVERYWHERE else guild_id,
            actor_id=by,
            action="restore_everywhere" if guild_id is EVERYWHERE else "restore",
            target_id=job.member_id,
            job_id=job_id,
        )
    return bool(lifted)


def everywhere(session: Session, job_id: int) -> bool:
    """True if a job's pictures are shown to nobody."""
    return _in_force(session, job_id, EVERYWHERE)


def check(session: Session, job_id: int, guild_id: int | None, image_ids: Collection[int] = ()) -> None:
    """Raise TakenDown where these pictures of a job (none: all) are not to be shown in this guild.

    None stands for direct messages.
    """
    if everywhere(session, job_id):
        raise TakenDown(everywhere=True)
    if guild_id is not None and _in_force(session, job_id, guild_id, image_ids):
        raise TakenDown


def _in_force(session: Session, job_id: int, guild_id: int | None, image_ids: Collection[int] = ()) -> bool:
    there = select(Takedown.id).where(
        Takedown.job_id == job_id, Takedown.guild_id == guild_id, text(IN_FORCE)
    )
    if image_ids:
        there = there.where(or_(Takedown.image_id.is_(None), Takedown.image_id.in_(image_ids)))
    return session.scalar(there.limit(1)) is not None
