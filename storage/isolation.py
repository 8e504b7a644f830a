"""Suspects: jobs that were lost together with their worker, any of which may be what killed it.

Nobody is blamed on suspicion. Each suspect runs once more in a worker that has nothing else; who is lost
then was lost by its own doing, or by the machine's, and that counts. A suspect waits for its turn like any
other job. When that comes and no worker is idle, one drains for it: takes nothing more until it is.
"""

from __future__ import annotations

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from storage.database import now
from storage.tables import RUNNING, Job, WorkerRow

DRAIN_MS = 5_000
"""So long after its last look a worker counts as draining: each looks every second."""


def beside(session: Session, worker_id: int) -> list[bool]:
    """For each job that the worker has, whether it is a suspect."""
    running = select(Job.suspect).where(Job.worker_id == worker_id, text(RUNNING))
    return list(session.scalars(running))


def drains(session: Session, worker_id: int, model: str) -> bool:
    """Let a busy worker drain for a job of this model; False where another that serves it does already: one
    is enough.
    """
    at = now(session)
    draining = select(WorkerRow.id, WorkerRow.models).where(
        WorkerRow.stopped_at.is_(None), WorkerRow.draining_at > at - DRAIN_MS
    )
    ids = [each for each, models in session.execute(draining) if model in models]
    if min(ids, default=worker_id) != worker_id:
        # Of two that began at once the elder goes on.
        return False
    # Not waited for: a reaper locks the worker's row before the member's, which is locked here already.
    mine = (
        select(WorkerRow.id)
        .where(WorkerRow.id == worker_id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    if session.scalar(mine) is not None:
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(draining_at=at))
    return True
