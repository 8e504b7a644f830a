"""Workers and their leases: one lease a worker, renewed by its heartbeat, keeps all its jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Select, select, text, update
from sqlalchemy.orm import Session

from storage import attempts, restrictions
from storage.attempts import Blame
from storage.contract import ErrorCode
from storage.database import now
from storage.errors import Stale
from storage.monotonic import monotonic
from storage.tables import RUNNING, Job, WorkerRow

log = logging.getLogger(__name__)

_NONE: Mapping[str, str] = MappingProxyType({})


def register(
    session: Session,
    name: str,
    models: Collection[str],
    lease_ms: int = 15_000,
    *,
    broken: Mapping[str, str] = _NONE,
) -> int:
    """Write down a worker that begins; the id it gets is this incarnation's alone."""
    at = now(session)
    worker = WorkerRow(
        name=name,
        models=sorted(models),
        broken=dict(broken),
        started_at=at,
        lease_until=at + lease_ms,
        renewals=0,
    )
    session.add(worker)
    session.flush()
    return worker.id


def renew(
    session: Session, worker_id: int, lease_ms: int = 15_000, lacks: str | None = None
) -> frozenset[int]:
    """The heartbeat: keep the lease, and learn which of the worker's jobs someone asked to stop.

    `lacks` says what the worker has no room in.

    Raises:
        Stale: the worker was given up as lost; its jobs are others' now. Register anew.
    """
    # A worker that was given up may not revive its lease: its jobs may be drawn elsewhere by now.
    renewed = session.scalar(
        update(WorkerRow)
        .where(WorkerRow.id == worker_id, WorkerRow.stopped_at.is_(None))
        .values(lease_until=now(session) + lease_ms, renewals=WorkerRow.renewals + 1, lacks=lacks)
        .returning(WorkerRow.id)
    )
    if renewed is None:
        raise Stale
    cancelled = select(Job.id).where(
        Job.worker_id == worker_id, text(RUNNING), Job.cancel_requested_at.is_not(None)
    )
    return frozenset(session.scalars(cancelled))


def announce(session: Session, worker_id: int, models: Collection[str], broken: Mapping[str, str]) -> None:
    """Write down which models a worker serves now, and why it cannot load others."""
    offer = update(WorkerRow).where(WorkerRow.id == worker_id)
    session.execute(offer.values(models=sorted(models), broken=dict(broken)))


def broken_models(session: Session) -> dict[str, str]:
    """Reason by the name of each model that some worker cannot load and none serves."""
    living = alive(session)
    served = {name for worker in living for name in worker.models}
    reasons = {name: reason for worker in living for name, reason in worker.broken.items()}
    return {name: reason for name, reason in reasons.items() if name not in served}


def unserved(session: Session, worker_id: int, models: Collection[str]) -> frozenset[str]:
    """The given models that no other worker serves."""
    others = (worker.models for worker in alive(session) if worker.id != worker_id)
    return frozenset(models) - {name for served in others for name in served}


def stop(session: Session, worker_id: int) -> list[int]:
    """The worker ends in peace: what it still had is handed back. Returns those jobs."""
    session.execute(
        update(WorkerRow)
        .where(WorkerRow.id == worker_id, WorkerRow.stopped_at.is_(None))
        .values(stopped_at=now(session))
    )
    _lock_jobs(session, [worker_id])
    running = running_jobs(session, worker_id)
    for job_id, attempt in running:
        attempts.requeue(session, job_id, attempt)
    return [job_id for job_id, _ in running]


def alive(session: Session) -> list[WorkerRow]:
    """Workers whose lease is good."""
    query = select(WorkerRow).where(WorkerRow.stopped_at.is_(None), WorkerRow.lease_until > now(session))
    return list(session.scalars(query.order_by(WorkerRow.id)))


def running_jobs(session: Session, worker_id: int) -> list[tuple[int, int]]:
    """Ids and attempts of the jobs that a worker has."""
    query = select(Job.id, Job.attempts).where(Job.worker_id == worker_id, text(RUNNING)).order_by(Job.id)
    return [(job_id, attempt) for job_id, attempt in session.execute(query)]


def _lock_jobs(session: Session, worker_ids: Collection[int], member_ids: Collection[int] = ()) -> None:
    """Lock all that the jobs of these workers need to wait again, and these members."""
    query = select(Job.guild_id, Job.member_id).where(Job.worker_id.in_(worker_ids), text(RUNNING))
    whose = session.execute(query).all()
    restrictions.lock_rows(
        session, (guild_id for guild_id, _ in whose), [*(member_id for _, member_id in whose), *member_ids]
    )


def _busy_workers() -> Select[int | None]:
    return select(Job.worker_id).where(text(RUNNING))


@dataclass
class _Seen:
    renewals: int
    since: float


class Reaper:
    """Takes jobs back from workers that stopped renewing their lease.

    A worker is lost when its lease is over by the database's clock *and* this reaper has itself watched it
    not renew for a whole lease. So a clock that jumps, or a machine that slept with everybody on it, costs
    nobody their jobs. Whoever has a lease of their own renews it before they sweep.
    """

    def __init__(self, lease_ms: int = 15_000, clock: Callable[[], float] = monotonic) -> None:
        self._lease = lease_ms / 1000
        self._clock = clock
        self._seen: dict[int, _Seen] = {}
        self._swept_at = clock()

    def sweep(self, session: Session) -> list[int]:
        """Queue again, or fail after three attempts that count, the jobs of lost workers; return their ids.

        To be called several times a lease: after a longer gap the watching begins anew.
        """
        lost = [worker_id for worker_id in self._unrenewed(session) if self._give_up(session, worker_id)]
        lost += session.scalars(
            select(WorkerRow.id).where(WorkerRow.stopped_at.is_not(None), WorkerRow.id.in_(_busy_workers()))
        )
        free = restrictions.members_with_expired_bans(session)
        _lock_jobs(session, lost, free)
        restrictions.lift_expired_bans(session, free)
        return [job_id for worker_id in sorted(set(lost)) for job_id in self._take_back(session, worker_id)]

    def _unrenewed(self, session: Session) -> list[int]:
        moment = self._clock()
        if moment - self._swept_at > self._lease / 2:
            self._seen.clear()
        self._swept_at = moment
        workers = session.execute(
            select(WorkerRow.id, WorkerRow.renewals, WorkerRow.lease_until).where(
                WorkerRow.stopped_at.is_(None)
            )
        ).all()
        at = now(session)
        before, self._seen = self._seen, {}
        unrenewed = []
        for worker_id, renewals, lease_until in workers:
            seen = before.get(worker_id)
            if seen is None or seen.renewals != renewals:
                seen = _Seen(renewals, moment)
            self._seen[worker_id] = seen
            if moment - seen.since >= self._lease and lease_until <= at:
                unrenewed.append(worker_id)
        return unrenewed

    def _give_up(self, session: Session, worker_id: int) -> bool:
        """Mark a worker as stopped, unless it renewed in this very moment."""
        marked = session.scalar(
            update(WorkerRow)
            .where(
                WorkerRow.id == worker_id,
                WorkerRow.renewals == self._seen[worker_id].renewals,
                WorkerRow.stopped_at.is_(None),
            )
            .values(stopped_at=now(session))
            .returning(WorkerRow.id)
        )
        if marked is not None:
            log.warning("worker %s is lost: it did not renew its lease", worker_id)
        return marked is not None

    def _take_back(self, session: Session, worker_id: int) -> list[int]:
        taken = []
        for job_id, attempt in running_jobs(session, worker_id):
            try:
                state = attempts.fail(
                    session,
                    job_id,
                    attempt,
                    ErrorCode.WORKER_LOST,
                    "its worker vanished",
                    retry=True,
                    blame=Blame.WHO_RAN_ALONE,
                )
            except Stale:
                continue
            log.warning("job %s of lost worker %s is %s", job_id, worker_id, state.value)
            taken.append(job_id)
        return taken
