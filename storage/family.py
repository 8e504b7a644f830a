"""The family tree: which job a picture comes from, and how many were made of it."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.contract import Action
from storage.tables import Job


def ancestors(session: Session, job: Job) -> list[Job]:
    """The job's parent, that one's parent, and so on to the first."""
    line: list[Job] = []
    while job.parent_job_id is not None:
        job = session.get_one(Job, job.parent_job_id)
        line.append(job)
    return line


def children(session: Session, image_id: int) -> Counter[Action]:
    """Number of jobs that were made of a picture, by action."""
    made = select(Job.action, func.count()).where(Job.parent_image_id == image_id)
    return Counter({Action(action): count for action, count in session.execute(made.group_by(Job.action))})
