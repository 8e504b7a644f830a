"""Pictures that a guild's moderators show there no more; elsewhere, and for their member, they stay."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, or_, select, text, update
from sqlalchemy.orm import Session

from storage import deliveries, jobs, moderation
from storage.contract import JobState
from storage.database import now
from storage.errors import Refused
from storage.tables import IN_FORCE, Delivery, Job, Message, Takedown


class TakenDown(Refused):
    """The moderators of this guild show these pictures there no more."""


def take_down(
    session: Session, job_id: int, guild_id: int, by: int, image_id: int | None = None
) -> list[Message]:
    """Show a job's pictures, or one of them, in this guild no more.

    Returns the guild's messages that show them, to be deleted from Discord.

    Raises:
        NoSuchJob: there is none.
    """
    job, at = jobs.get(session, job_id), now(session)
    session.add(Takedown(guild_id=guild_id, job_id=job_id, image_id=image_id, decided_by=by, created_at=at))
    here = and_(Delivery.job_id == job_id, Delivery.guild_id == guild_id)
    shown = [one for one in deliveries.messages_of(session, job_id) if one.guild_id == guild_id]
    if image_id is not None:
        # A grid shows it too.
        here = and_(here, or_(Delivery.image_id == image_id, Delivery.image_id.is_(None)))
        shown = [one for one in shown if one.image_id in (image_id, None)]
    if job.state == JobState.SUCCEEDED:
        deliveries.withdraw(session, here)
    for message in shown:
        message.deleted_at = at
    session.flush()
    return shown


def restore(session: Session, job_id: int, guild_id: int, by: int) -> bool:
    """Let a job's pictures be shown in this guild again; False where none were taken down."""
    mine = update(Takedown).where(Takedown.job_id == job_id, Takedown.guild_id == guild_id, text(IN_FORCE))
    lifted = session.scalars(mine.values(lifted_at=now(session)).returning(Takedown.id)).all()
    if lifted:
        owner = session.get_one(Job, job_id).member_id
        moderation.audit(
            session, guild_id=guild_id, actor_id=by, action="restore", target_id=owner, job_id=job_id
        )
    return bool(lifted)


def check(session: Session, job_id: int, guild_id: int | None, image_ids: Collection[int] = ()) -> None:
    """Raise TakenDown where these pictures of a job (none: all) are not to be shown in this guild."""
    if guild_id is None:
        return
    here = select(Takedown.id).where(Takedown.job_id == job_id, Takedown.guild_id == guild_id, text(IN_FORCE))
    if image_ids:
        here = here.where(or_(Takedown.image_id.is_(None), Takedown.image_id.in_(image_ids)))
    if session.scalar(here.limit(1)) is not None:
        raise TakenDown
