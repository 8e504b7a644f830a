"""A member's earlier prompts, to be asked for again."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from storage.contract import Action
from storage.jobs import has_words
from storage.tables import Job

LOOKED_AT = 200
"""Jobs among which the newest different prompts are looked for."""
_TYPED = (Action.IMAGINE, Action.REROLL)


def past(session: Session, member_id: int, words: str = "", limit: int = 25) -> list[Job]:
    """The newest job of each of the member's different prompts with all of `words`, newest first."""
    found: dict[str, Job] = {}
    for job in session.scalars(_mine(member_id, words).limit(LOOKED_AT)):
        found.setdefault(job.text, job)
    return list(found.values())[:limit]


def recalled(session: Session, member_id: int, which: str) -> Job | None:
    """The member's job of this number, else their newest with these words."""
    if which.isdecimal() and len(which) < 19:
        job = session.get(Job, int(which))
        if job is not None and job.member_id == member_id and job.deleted_at is None:
            return job
    return session.scalars(_mine(member_id, which).limit(1)).first() if which.strip() else None


def _mine(member_id: int, words: str) -> Select[Job]:
    typed = Job.action.in_([action.value for action in _TYPED])
    query = select(Job).where(Job.member_id == member_id, Job.deleted_at.is_(None), typed, has_words(words))
    return query.order_by(Job.id.desc())
