"""Pictures that their owner deletes for good."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from storage import deliveries, jobs
from storage.database import now
from storage.images import COMPOSED
from storage.tables import Bringing, Delivery, Image, Job, JobPicture, Message


def remove(session: Session, job_id: int, image_id: int | None = None) -> list[Message]:
    """Forget a job's pictures, or one of them; their files are the caller's to delete, after the commit.

    Returns the messages that show nothing else. Their deliveries are withdrawn: the bot deletes the messages,
    however often it has to try.

    Raises:
        NoSuchJob: there is none.
    """
    jobs.get(session, job_id)
    at = now(session)
    whole = image_id is None or [image.id for image in jobs.images_of(session, job_id)] == [image_id]
    # Where a picture stays, what shows the others stays.
    delivered = Delivery.job_id == job_id if whole else Delivery.image_id == image_id
    shows = Message.job_id == job_id if whole else Message.image_id == image_id
    taken = Image.job_id == job_id if image_id is None else Image.id == image_id
    deliveries.withdraw(session, delivered)
    session.execute(update(Image).where(taken, Image.deleted_at.is_(None)).values(deleted_at=at))
    shown = list(
        session.scalars(select(Message).where(shows, Message.deleted_at.is_(None)).order_by(Message.id))
    )
    for message in shown:
        message.deleted_at = at
    session.flush()
    # Those that only their member sees are out of reach.
    return [message for message in shown if not message.ephemeral]


def forget_movie(session: Session, job_id: int) -> str | None:
    """Forget the movie of a job of which a picture is deleted: it shows all of them.

    Returns the key of its file, which is the caller's to delete, after the commit.

    Raises:
        NoSuchJob: there is none.
    """
    job = jobs.get(session, job_id)
    key, job.movie_key = job.movie_key, None
    session.flush()
    return key


def forget_sheets(session: Session, job_id: int, image_id: int | None = None) -> list[str]:
    """Forget the sheets on which a job's pictures, or one of them, were laid to be drawn around.

    Whoever asks for the same drawing again is told that its picture is gone. Returns the keys of their files,
    which are the caller's to delete, after the commit.
    """
    taken = Image.job_id == job_id if image_id is None else Image.id == image_id
    around = session.scalars(select(Job).where(Job.parent_image_id.in_(select(Image.id).where(taken)))).all()
    keys = {
        job.id: key for job in around if (key := job.request.get("source_key") or "").startswith(COMPOSED)
    }
    uses = (JobPicture.job_id.in_(keys), JobPicture.key.in_(keys.values()))
    for named in (delete(JobPicture).where(*uses), delete(Bringing).where(Bringing.key.in_(keys.values()))):
        session.execute(named, execution_options={"synchronize_session": False})
    return sorted(set(keys.values()))
