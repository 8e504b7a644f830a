"""Pictures taken away: by their owner for good, by a moderator from everybody's sight."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from storage import deliveries, jobs
from storage.database import now
from storage.tables import Delivery, Image, Message


def remove(session: Session, job_id: int, image_id: int | None = None) -> list[Message]:
    """Forget a job's pictures, or one of them; their files are the caller's to delete, after the commit.

    Returns the messages that show nothing else, to be deleted from Discord.

    Raises:
        NoSuchJob: there is none.
    """
    return _take_away(session, job_id, image_id, deleted_at=now(session))


def withhold(session: Session, job_id: int) -> list[Message]:
    """Keep a job's pictures, but show them to nobody any more.

    Returns the messages that show them, to be deleted from Discord.

    Raises:
        NoSuchJob: there is none.
    """
    return _take_away(session, job_id, None, withheld=True)


def _take_away(session: Session, job_id: int, image_id: int | None, **change: object) -> list[Message]:
    jobs.get(session, job_id)
    waiting = update(Delivery).where(Delivery.job_id == job_id, Delivery.state == "open")
    taken = update(Image).where(Image.job_id == job_id, Image.deleted_at.is_(None))
    shown = deliveries.messages_of(session, job_id)
    if image_id is not None:
        waiting = waiting.where(Delivery.image_id == image_id)
        taken = taken.where(Image.id == image_id)
        left = [image for image in jobs.images_of(session, job_id) if image.id != image_id]
        shown = [one for one in shown if one.image_id == image_id or (one.image_id is None and not left)]
    closed = {"state": "given_up", "interaction_token": None, "error": "the pictures were taken away"}
    session.execute(waiting.values(closed))
    session.execute(taken.values(**change))
    for message in shown:
        message.deleted_at = now(session)
    session.flush()
    return shown
