"""Turbo before fast before relaxed; and relaxed when nothing else is to be done, but not never."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from storage import attempts, fair_queue, jobs
from storage.contract import Speed
from storage.database import Database
from storage.tables import Job
from tests.storage import asking


@pytest.fixture
def worker_id(database: Database) -> int:
    return asking.worker(database)


def _submit(database: Database, member_id: int, *speeds: Speed, **changes: str) -> list[int]:
    return [asking.submit(database, member_id, speed=speed, **changes) for speed in speeds]


def _age(database: Database, job_id: int, milliseconds: int) -> None:
    with database.writing() as session:
        aged = update(Job).where(Job.id == job_id)
        session.execute(aged.values(created_at=Job.created_at - milliseconds))


def _order(database: Database, worker_id: int) -> list[int]:
    """Every waiting job in the order in which they are claimed, each finished at once."""
    order = []
    while (claim := asking.claim(database, worker_id)) is not None:
        order.append(claim.job_id)
        asking.finish(database, claim)
    return order


def test_a_members_jobs_go_by_speed_then_age(database: Database, worker_id: int) -> None:
    relaxed, fast, turbo, late = _submit(database, 1, Speed.RELAX, Speed.FAST, Speed.TURBO, Speed.TURBO)
    assert _order(database, worker_id) == [turbo, late, fast, relaxed]


def test_speed_comes_before_what_is_loaded(database: Database, worker_id: int) -> None:
    asking.submit(database, 1)
    turbo = asking.submit(database, 1, model="cold", speed=Speed.TURBO)
    claim = asking.claim(database, worker_id, ("picturebook", "cold"), ("picturebook",))
    assert claim is not None
    assert claim.job_id == turbo


def test_relaxed_jobs_wait_for_everybodys_others(database: Database, worker_id: int) -> None:
    relaxed = _submit(database, 1, Speed.RELAX)
    fast = _submit(database, 2, Speed.FAST, Speed.TURBO, Speed.FAST)
    assert _order(database, worker_id) == [fast[1], fast[0], fast[2], *relaxed]


def test_relaxed_jobs_take_turns_among_themselves(database: Database, worker_id: int) -> None:
    first = _submit(database, 1, Speed.RELAX, Speed.RELAX)
    second = _submit(database, 2, Speed.RELAX)
    assert _order(database, worker_id) == [first[0], second[0], first[1]]


def test_nobody_waits_for_a_job_that_this_worker_cannot_take(database: Database, worker_id: int) -> None:
    """Another model's, or one whose member has as many running as they may."""
    _submit(database, 1, Speed.FAST, model="other")
    for claimed in [_submit(database, 2, Speed.FAST)[0] for _ in range(4)][:3]:
        assert asking.must_claim(database, worker_id).job_id == claimed
    (relaxed,) = _submit(database, 3, Speed.RELAX)
    assert asking.must_claim(database, worker_id).job_id == relaxed
    assert asking.claim(database, worker_id) is None


def test_after_a_while_a_relaxed_job_counts_as_fast(database: Database, worker_id: int) -> None:
    (relaxed,) = _submit(database, 1, Speed.RELAX)
    (fast,) = _submit(database, 2, Speed.FAST)
    _age(database, relaxed, fair_queue.PATIENCE_MS - 60_000)
    with database.writing() as session:
        member = fair_queue.next_member(session, asking.MODELS, ())
        assert member is not None
        assert member.id == 2
    _age(database, relaxed, 60_000)
    assert _order(database, worker_id) == [relaxed, fast]


def test_a_patient_job_still_comes_after_its_members_turbo_ones(database: Database, worker_id: int) -> None:
    patient, fast, turbo = _submit(database, 1, Speed.RELAX, Speed.FAST, Speed.TURBO)
    _age(database, patient, fair_queue.PATIENCE_MS)
    assert _order(database, worker_id) == [turbo, patient, fast]


@pytest.mark.parametrize("speed", list(Speed))
def test_ahead_counts_what_comes_before_at_each_speed(
    database: Database, worker_id: int, speed: Speed
) -> None:
    """The promise is checked against what then happens."""
    _submit(database, 1, Speed.RELAX, Speed.FAST, Speed.FAST, Speed.FAST)
    _submit(database, 2, Speed.RELAX, Speed.RELAX, Speed.RELAX)
    _submit(database, 3, Speed.FAST, Speed.TURBO, Speed.RELAX)
    mine = _submit(database, 4, Speed.FAST, Speed.RELAX, speed)[-1]
    with database.reading() as session:
        promised = jobs.ahead(session, mine)
    assert promised == _order(database, worker_id).index(mine)


def test_a_job_remembers_its_speed_when_it_waits_again(database: Database, worker_id: int) -> None:
    (relaxed,) = _submit(database, 1, Speed.RELAX)
    claim = asking.must_claim(database, worker_id)
    with database.writing() as session:
        attempts.requeue(session, claim.job_id, claim.attempt)
    job = asking.get(database, relaxed)
    assert (job.speed, job.priority) == ("relax", -1)
