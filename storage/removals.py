"""Pictures that their owner deletes for good."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, delete, or_, select, text, update
from sqlalchemy.orm import Session

from storage import brought, deliveries, jobs
from storage.backends import Backends
from storage.contract import Action
from storage.database import now
from storage.images import COMPOSED
from storage.tables import RUNNING, Bringing, Delivery, Image, Job, JobImage, Message

_ENLARGEMENTS = [action for action in Action if action.enlarges]
"""Actions whose results show the same picture: more around such a copy is drawn around the picture itself."""


@dataclass(frozen=True)
class Remains:
    """Keys of files that held a deleted picture, and that no row names now: the caller's to delete, after the
    commit.
    """

    movies: Sequence[str]
    canvases: Sequence[str]

    def delete(self, backends: Backends) -> None:
        """Blocks; not for the event loop."""
        for key in self.movies:
            backends.images.delete(key)
        for key in self.canvases:
            brought.forget(backends, key)


@dataclass(frozen=True)
class Removed:
    messages: Sequence[Message]
    """Messages that show nothing else."""
    remains: Remains


def remove(session: Session, job_id: int, image_id: int | None = None) -> Removed:
    """Forget a job's pictures, or one of them, and what was made of them on the way; their files are the
    caller's to delete, after the commit.

    Deliveries of the messages that show nothing else are withdrawn: the bot deletes these messages, however
    often it has to try.

    Raises:
        NoSuchJob: there is none.
    """
    jobs.get(session, job_id)
    remains = forget_made_of(
        session, select(Image.id).where(Image.job_id == job_id if image_id is None else Image.id == image_id)
    )
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
    return Removed([message for message in shown if not message.ephemeral], remains)


def forget_made_of(session: Session, taken: Select[int]) -> Remains:
    """Forget what shows pictures (their ids) that are to be deleted, whoever asked for it: the movies of
    their jobs and of whatever was drawn from them, and the canvases on which they were laid to be outpainted.

    Comes before the pictures are marked as deleted, in the same transaction: jobs that are being drawn from
    them are locked here, and keep no movie once they find the mark (`shows_deleted`).

    Finished pictures that a member drew from another's are that member's, and stay. Whoever asks for such a
    drawing again is told that its picture is gone.
    """
    own = session.scalars(select(Image.job_id).where(Image.id.in_(taken)))
    made = _made_of(session, taken)
    filmed = _lock_filmed(session, {*own, *(job.id for job in made)})
    movies = [_without_movie(job) for job in filmed if job.movie_key]
    canvases = {job: key for job in made if (key := job.request.get("source_key") or "").startswith(COMPOSED)}
    uses = JobImage.job_id.in_([job.id for job in canvases]), JobImage.key.in_(canvases.values())
    brought_for = (
        Bringing.member_id.in_({job.member_id for job in canvases}),
        Bringing.key.in_(canvases.values()),
    )
    for named in (delete(JobImage).where(*uses), delete(Bringing).where(*brought_for)):
        session.execute(named, execution_options={"synchronize_session": False})
    session.flush()
    return Remains(movies, sorted(set(canvases.values())))


def shows_deleted(session: Session, job: Job) -> bool:
    """True if a job was drawn from a picture that is deleted, or from an enlarged copy of one."""
    while job.action == Action.REROLL and job.parent_job_id is not None:
        job = session.get_one(Job, job.parent_job_id)
    while job.parent_image_id is not None:
        parent = session.get_one(Image, job.parent_image_id)
        if parent.deleted_at is not None:
            return True
        job = session.get_one(Job, parent.job_id)
        if job.action not in _ENLARGEMENTS:
            break
    return False


def _lock_filmed(session: Session, job_ids: Collection[int]) -> Sequence[Job]:
    """Lock the jobs that have a movie or may get one, and read them as they are now."""
    filmed = select(Job).where(Job.id.in_(job_ids), or_(Job.movie_key.is_not(None), text(RUNNING)))
    locking = filmed.order_by(Job.id).with_for_update(key_share=True)
    return session.scalars(locking, execution_options={"populate_existing": True}).all()


def _made_of(session: Session, taken: Select[int]) -> list[Job]:
    """The jobs that began with these pictures or enlarged copies of them, and their re-rolls, in order.

    A re-roll that was asked for below a picture is of its prompt, and begins with what its parent began with.
    """
    again = Job.action == Action.REROLL
    found: dict[int, Job] = {}
    news = session.scalars(select(Job).where(Job.parent_image_id.in_(taken), ~again)).all()
    while news:
        found.update((job.id, job) for job in news)
        ids = [job.id for job in news]
        copies = [job.id for job in news if job.action in _ENLARGEMENTS]
        of_copies = select(Image.id).where(Image.job_id.in_(copies))
        more = or_(and_(again, Job.parent_job_id.in_(ids)), and_(~again, Job.parent_image_id.in_(of_copies)))
        news = [job for job in session.scalars(select(Job).where(more)) if job.id not in found]
    return [found[job_id] for job_id in sorted(found)]


def _without_movie(job: Job) -> str:
    key, job.movie_key = job.movie_key, None
    assert key is not None
    return key
