"""Leases: who keeps a job, and who gets it when its worker is gone."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from sqlalchemy import update

from storage import attempts, states, workers
from storage.contract import JobState
from storage.database import Database
from storage.errors import Stale
from storage.tables import Delivery, WorkerRow
from storage.workers import Reaper
from tests.storage import asking

LEASE_MS = 15_000


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(database: Database, clock: Clock) -> Callable[[float], list[int]]:
    """Let a reaper sweep every three seconds for so many seconds; returns the jobs it took back."""
    reaper = Reaper(LEASE_MS, clock)

    def run(seconds: float) -> list[int]:
        taken: list[int] = []
        until = clock.seconds + seconds
        while clock.seconds < until:
            clock.seconds += 3
            with database.writing() as session:
                taken += reaper.sweep(session)
        return taken

    return run


def _expire(database: Database, worker_id: int) -> None:
    """Let the lease be over by the database's clock."""
    with database.writing() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(lease_until=0))


def _renew(database: Database, worker_id: int) -> frozenset[int]:
    with database.writing() as session:
        return workers.renew(session, worker_id, LEASE_MS)


def test_a_lost_workers_job_waits_again(
    database: Database, watch: Callable[[float], list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    lost = asking.worker(database)
    job_id = asking.submit(database)
    asking.must_claim(database, lost)
    _expire(database, lost)
    assert watch(15) == []
    with caplog.at_level(logging.WARNING):
        assert watch(3) == [job_id]
    assert f"job {job_id}" in caplog.text
    assert asking.counters(database) == (0, 1)
    again = asking.must_claim(database, asking.worker(database))
    assert (again.job_id, again.attempt, again.alone) == (job_id, 2, True)
    with pytest.raises(Stale):
        _renew(database, lost)
    with pytest.raises(Stale):
        asking.claim(database, lost)


def test_a_worker_that_renews_keeps_its_jobs(database: Database, watch: Callable[[float], list[int]]) -> None:
    alive = asking.worker(database)
    asking.submit(database)
    asking.must_claim(database, alive)
    for _ in range(6):
        _renew(database, alive)
        assert watch(12) == []
    assert asking.counters(database) == (1, 0)


def test_a_lease_that_is_over_is_not_enough(database: Database, watch: Callable[[float], list[int]]) -> None:
    """The database's clock has jumped: every lease is over, and nobody is lost."""
    alive = asking.worker(database)
    asking.submit(database)
    asking.must_claim(database, alive)
    for _ in range(4):
        _renew(database, alive)
        _expire(database, alive)
        assert watch(12) == []


def test_a_good_lease_is_kept_even_unseen(database: Database, watch: Callable[[float], list[int]]) -> None:
    """A worker that was given a longer lease than this reaper's."""
    alive = asking.worker(database, lease_ms=3_600_000)
    asking.submit(database)
    asking.must_claim(database, alive)
    assert watch(60) == []


def test_a_reaper_that_slept_watches_anew(
    database: Database, clock: Clock, watch: Callable[[float], list[int]]
) -> None:
    """The machine slept with everybody on it; on waking each must have time to renew."""
    sleeper = asking.worker(database)
    job_id = asking.submit(database)
    asking.must_claim(database, sleeper)
    assert watch(12) == []
    clock.seconds += 3_600
    _expire(database, sleeper)
    assert watch(12) == []
    assert watch(9) == [job_id]


def test_renewing_in_the_last_moment_saves_the_jobs(database: Database, clock: Clock) -> None:
    """The reaper has read that a worker is late; before it writes, the worker renews."""
    late = asking.worker(database)
    asking.submit(database)
    asking.must_claim(database, late)
    _expire(database, late)
    reaper = Reaper(LEASE_MS, clock)
    for _ in range(6):
        clock.seconds += 3
        with database.writing() as session:
            unrenewed = reaper._unrenewed(session)
    assert unrenewed == [late]
    _renew(database, late)
    with database.writing() as session:
        assert not reaper._give_up(session, late)
    assert _renew(database, late) == frozenset()


def test_lost_three_times_more_when_it_ran_alone_is_a_failure(
    database: Database, watch: Callable[[float], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (0,))
    job_id = asking.submit(database)
    for _ in range(1 + attempts.ATTEMPTS):
        lost = asking.worker(database)
        asking.must_claim(database, lost)
        _expire(database, lost)
        assert watch(21) == [job_id]
    job = asking.get(database, job_id)
    assert (job.state, job.error_code) == ("failed", "worker_lost")
    assert asking.counters(database) == (0, 0)
    with database.reading() as session:
        assert session.get_one(Delivery, 1).once == f"result:{job_id}"


def test_a_job_of_a_stopped_worker_is_found_at_once(
    database: Database, watch: Callable[[float], list[int]]
) -> None:
    """A claim that was committed in the moment in which its worker was given up."""
    gone = asking.worker(database)
    job_id = asking.submit(database)
    asking.must_claim(database, gone)
    with database.writing() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id == gone).values(stopped_at=1))
    assert watch(3) == [job_id]


def test_stopping_hands_the_jobs_back(database: Database) -> None:
    worker_id = asking.worker(database)
    mine = [asking.submit(database, member_id) for member_id in (3, 1, 2)]
    for _ in mine:
        asking.must_claim(database, worker_id)
    with database.writing() as session:
        assert workers.stop(session, worker_id) == mine
    for job_id in mine:
        job = asking.get(database, job_id)
        assert (job.state, job.handbacks) == (JobState.QUEUED, 1)
    with database.writing() as session:
        assert workers.stop(session, worker_id) == []
        asking.assert_sound(session)


def test_the_heartbeat_says_what_to_stop(database: Database) -> None:
    worker_id, other = asking.worker(database), asking.worker(database)
    stop, keep, others = (asking.submit(database, member_id) for member_id in (1, 2, 3))
    for claimer in (worker_id, worker_id, other):
        asking.must_claim(database, claimer)
    for job_id in (stop, others):
        with database.writing() as session:
            states.cancel(session, job_id)
    assert _renew(database, worker_id) == {stop}
    assert keep not in _renew(database, worker_id)


def test_alive_are_those_with_a_good_lease(database: Database) -> None:
    good, expired, stopped = (asking.worker(database, name) for name in ("good", "expired", "stopped"))
    _expire(database, expired)
    with database.writing() as session:
        workers.stop(session, stopped)
    with database.reading() as session:
        alive = workers.alive(session)
    assert [(worker.id, worker.name, worker.models) for worker in alive] == [(good, "good", ["picturebook"])]


def test_a_model_is_broken_where_nobody_serves_it(database: Database) -> None:
    with database.writing() as session:
        first = workers.register(session, "first", ["a"], broken={"b": "no such file"})
        assert workers.broken_models(session) == {"b": "no such file"}
        assert workers.unserved(session, first, ["a", "b"]) == {"a", "b"}
        second = workers.register(session, "second", ["b"])
        assert workers.broken_models(session) == {}
        assert workers.unserved(session, first, ["a", "b"]) == {"a"}
        workers.announce(session, second, [], {"b": "cut short"})
        assert workers.broken_models(session) == {"b": "cut short"}
        workers.stop(session, second)
        assert workers.broken_models(session) == {"b": "no such file"}
