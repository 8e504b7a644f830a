"""Take files that no row names out of the image store, a little a round.

Pictures that were brought and came to nothing, and what a worker saved for an attempt that was lost, a job
whose member deleted their data, or a picture that was taken down while the process died. A file is left for a
day: it may be on its way to its row. So are, for good, files that are older than the database's first job, or
of a job that it never made: they are another database's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage import brought
from storage.backends import Backends
from storage.contract import JobState
from storage.images import Kept, job_of
from storage.tables import Image, Job

AGE_S = 86_400.0
"""Files younger than this are left alone."""
MOST = 500
"""Files looked at in one round."""

_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class Sweep:
    """Goes through the store again and again; where it is is not remembered when the process ends."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._files: Iterator[Kept] = iter(())
        self.deleted = 0
        """Files, since it began."""

    def round(self) -> bool:
        """Look at some files and delete those that nobody names; False where the last one was looked at.

        Blocks, for a second or so; not for the event loop.
        """
        self._let_go()
        seen = list(islice(self._files, MOST))
        if not seen:
            self._files = self._backends.images.older_than(AGE_S)
            seen = list(islice(self._files, MOST))
        with self._backends.database.reading() as session:
            ours = _ours(session, seen)
            orphans = _orphans(session, [key for key in ours if job_of(key) is not None])
            started_from = [key for key in ours if job_of(key) is None]
            unnamed = set(started_from) - brought.named_of(session, started_from)
        for key in orphans:
            self._backends.images.delete(key)
        forgotten = [key for key in sorted(unnamed) if brought.forget(self._backends, key)]
        self.deleted += len(orphans) + len(forgotten)
        return len(seen) == MOST

    def _let_go(self) -> None:
        """Release what was brought a day ago: it belongs to the jobs that it became part of, or to nobody."""
        with self._backends.database.reading() as session:
            over = brought.outlived(session, MOST)
        if over:
            brought.release(self._backends, over)


def _ours(session: Session, files: Sequence[Kept]) -> list[str]:
    """The keys of files that this database may have known."""
    first = session.scalar(select(Job.created_at).order_by(Job.id).limit(1))
    last = session.scalar(select(func.max(Job.id)))
    if first is None or last is None:
        return []
    since = first / 1000 - AGE_S
    return [file.key for file in files if file.at >= since and (job_of(file.key) or 0) <= last]


def _orphans(session: Session, keys: Sequence[str]) -> list[str]:
    """Of files that were kept of jobs, those that a finished job has not, or not any more."""
    ids = {job_of(key) for key in keys}
    shown = select(Image.key).where(Image.job_id.in_(ids), Image.deleted_at.is_(None))
    # A movie shows all of its job's pictures, one that was deleted too.
    deleted = select(Image.job_id).where(Image.job_id.in_(ids), Image.deleted_at.is_not(None))
    movies = select(Job.movie_key).where(Job.id.in_(ids), Job.movie_key.is_not(None), Job.id.not_in(deleted))
    unfinished = set(session.scalars(select(Job.id).where(Job.id.in_(ids), Job.state.in_(_UNFINISHED))))
    named = {*session.scalars(shown), *session.scalars(movies)}
    return [key for key in keys if key not in named and job_of(key) not in unfinished]
