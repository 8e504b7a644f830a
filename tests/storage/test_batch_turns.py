"""A member's single jobs come before those of their batches, which do not wait for ever."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from sqlalchemy import text

from storage import fair_queue, jobs, members
from storage.database import Database
from storage.tables import Batch, Member
from tests.storage import asking


@pytest.fixture
def worker_id(database: Database) -> int:
    return asking.worker(database)


def _batch(database: Database, size: int, member_id: int = 1) -> list[int]:
    with database.writing() as session:
        batch = Batch(member_id=member_id, text="", size=size, planned=[], created_at=1, expires_at=1)
        batch.state = "confirmed"
        members.member(session, member_id)
        session.add(batch)
        session.flush()
        batch_id = batch.id
    return asking.submit_many(database, member_id, size, batch_id=batch_id)


def _order(database: Database, worker_id: int) -> list[int]:
    order = []
    while (claim := asking.claim(database, worker_id)) is not None:
        order.append(claim.job_id)
        asking.finish(database, claim)
    return order


def test_a_quick_job_does_not_wait_for_ones_own_batches(database: Database, worker_id: int) -> None:
    batched = [job_id for _ in range(3) for job_id in _batch(database, 40)]
    quick = asking.submit(database)
    with database.reading() as session:
        assert jobs.ahead(session, quick) == 0
        assert jobs.ahead(session, batched[-1]) == len(batched)
    assert asking.must_claim(database, worker_id).job_id == quick
    assert asking.must_claim(database, worker_id).job_id == batched[0]


def test_each_fourth_is_of_a_batch_while_there_are_single_ones(database: Database, worker_id: int) -> None:
    batched = _batch(database, 3)
    single = [asking.submit(database) for _ in range(8)]
    assert fair_queue.SINGLES == 3
    assert _order(database, worker_id) == [
        *single[:3],
        batched[0],
        *single[3:6],
        batched[1],
        *single[6:],
        batched[2],
    ]


def test_priority_comes_before_that(database: Database, worker_id: int) -> None:
    batched = _batch(database, 1)
    with database.writing() as session:
        session.execute(text("UPDATE jobs SET priority = 1"))
    single = asking.submit(database)
    assert _order(database, worker_id) == [*batched, single]


@given(before=strategies.integers(0, 5), batched=strategies.integers(0, 9), single=strategies.integers(0, 9))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_ahead_is_what_then_happens(
    sqlite_database: Database, before: int, batched: int, single: int
) -> None:
    """Wherever the count of single jobs stands, and however many there are of both kinds."""
    worker_id = asking.worker(sqlite_database)
    for _ in range(before):
        asking.submit(sqlite_database)
        asking.finish(sqlite_database, asking.must_claim(sqlite_database, worker_id))
    ids = _batch(sqlite_database, batched) if batched else []
    ids += asking.submit_many(sqlite_database, 1, single) if single else []
    with sqlite_database.reading() as session:
        promised = {jobs.ahead(session, job_id): job_id for job_id in ids}
        assert (session.get(Member, 1) or Member(singles=0)).singles <= fair_queue.SINGLES
    assert [promised.get(place) for place in range(len(ids))] == _order(sqlite_database, worker_id)
