"""Jobs and their pictures as they are read, and by whom; how many wait before them.

`submissions` writes them, `attempts` are what a worker does with them, `states` ends them.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, func, select, text, true, update
from sqlalchemy.orm import Session

from storage import fair_queue
from storage.contract import JobState
from storage.errors import DataDeleted, NoSuchImage, NoSuchJob, NotYours
from storage.tables import IN_FORCE, QUEUED, UNFINISHED, Delivery, Image, Job, Takedown

MOST_SEARCHED = 30
"""Words by which jobs are found."""


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


def own(session: Session, job_id: int, member_id: int) -> Job:
    """The member's own job of this number.

    Raises:
        NoSuchJob, DataDeleted, NotYours
    """
    job = get(session, job_id)
    if job.member_id != member_id:
        raise NotYours
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


def visible() -> ColumnElement[bool]:
    """SQL condition for images that anybody may see: neither deleted nor taken down everywhere."""
    everywhere = select(Takedown.id).where(
        Takedown.job_id == Image.job_id, Takedown.guild_id.is_(None), text(IN_FORCE)
    )
    return and_(Image.deleted_at.is_(None), ~everywhere.exists())


def images_of(session: Session, job_id: int) -> list[Image]:
    """The job's images by their place in the grid, without those that nobody is to see any more."""
    query = select(Image).where(Image.job_id == job_id, visible())
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
    if session.scalar(select(Image.id).where(Image.id == image_id, visible())) is None:
        raise NoSuchImage(image_id)
    return found, job


def has_words(words: str) -> ColumnElement[bool]:
    """SQL condition for jobs whose text has every one of the words, in any order and case.

    Of many words the first MOST_SEARCHED count: each is a condition, of which SQLite takes 1,000.
    """
    first = dict.fromkeys(word.lower() for word in words.split(maxsplit=MOST_SEARCHED)[:MOST_SEARCHED])
    found = (func.lower(Job.text).contains(word, autoescape=True) for word in first)
    return and_(true(), *found)


def ahead(session: Session, job_id: int) -> int:
    """About how many waiting jobs come before this one; 0 when it waits no more."""
    job = get(session, job_id)
    return fair_queue.jobs_ahead(session, job) if job.state == JobState.QUEUED else 0


def waiting(session: Session) -> int:
    """Number of jobs that wait for a worker."""
    return session.scalars(select(func.count()).select_from(Job).where(text(QUEUED))).one()


def unfinished(session: Session) -> list[Job]:
    """Every job that waits or runs, by age."""
    return list(session.scalars(select(Job).where(text(UNFINISHED)).order_by(Job.id)))


def set_progress_message(session: Session, job_id: int, message_id: int) -> None:
    session.execute(update(Job).where(Job.id == job_id).values(progress_message_id=message_id))


def forget_token(session: Session, job_id: int) -> None:
    """Wipe the interaction's token: nobody will need it any more."""
    session.execute(update(Job).where(Job.id == job_id).values(interaction_token=None))
    forget_tokens_of(session, Delivery.job_id == job_id)


def forget_tokens_of(session: Session, *which: ColumnElement[bool]) -> None:
    """Wipe the tokens of deliveries whose jobs' rows are locked, in the order of their ids."""
    ids = select(Delivery.id).where(*which).order_by(Delivery.id).with_for_update()
    wiped = update(Delivery).where(Delivery.id.in_(session.scalars(ids).all()))
    session.execute(wiped.values(interaction_token=None))
