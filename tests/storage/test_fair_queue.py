"""Who is served next."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import func, update

from storage import attempts, fair_queue, jobs, workers
from storage.database import Database
from storage.errors import Stale
from storage.tables import Job, Member
from tests.brokers import wait_until
from tests.storage import asking

GATE = 20_481_977
"""An advisory lock of PostgreSQL's, at which a claim is held up."""


@pytest.fixture
def worker_id(database: Database) -> int:
    return asking.worker(database)


def _serve(database: Database, worker_id: int, count: int, **asked: tuple[str, ...]) -> list[int]:
    """Members in the order in which they are served, each job finished at once."""
    served = []
    for _ in range(count):
        claim = asking.claim(database, worker_id, asked.get("models", asking.MODELS), asked.get("loaded", ()))
        assert claim is not None
        served.append(asking.finish(database, claim).member_id)
    return served


def test_hundreds_of_jobs_do_not_hold_up_one(database: Database, worker_id: int) -> None:
    asking.submit_many(database, 1, 300)
    assert _serve(database, worker_id, 5) == [1] * 5
    asking.submit(database, 2)
    with database.reading() as session:
        assert jobs.ahead(session, 301) == 1
    assert 2 in _serve(database, worker_id, 2)


def test_newcomers_do_not_pass_who_is_waiting(database: Database, worker_id: int) -> None:
    asking.submit_many(database, 1, 3)
    asking.submit_many(database, 2, 3)
    _serve(database, worker_id, 2)
    for newcomer in (3, 4, 5):
        asking.submit(database, newcomer)
    assert _serve(database, worker_id, 7) == [1, 2, 3, 4, 5, 1, 2]


def test_a_busy_member_is_passed_until_a_place_is_free(database: Database, worker_id: int) -> None:
    asking.submit_many(database, 1, 5)
    claims = [asking.must_claim(database, worker_id) for _ in range(3)]
    assert asking.claim(database, worker_id) is None
    asking.submit(database, 2)
    assert asking.must_claim(database, worker_id).job_id == 6
    asking.finish(database, claims[0])
    assert asking.must_claim(database, worker_id).job_id == 4


def test_a_members_own_jobs_go_by_priority_then_age(database: Database, worker_id: int) -> None:
    first, second, third = (asking.submit(database) for _ in range(3))
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == third).values(priority=1))
    assert [asking.must_claim(database, worker_id).job_id for _ in range(3)] == [third, first, second]


def test_only_models_that_the_worker_serves(database: Database, worker_id: int) -> None:
    asking.submit(database, 1, model="other")
    mine = asking.submit(database, 2)
    assert asking.must_claim(database, worker_id).job_id == mine
    assert asking.claim(database, worker_id) is None
    assert asking.claim(database, worker_id, ("other", "picturebook")) is not None
    assert asking.claim(database, worker_id, ()) is None


def test_what_is_loaded_comes_first_within_bounds(database: Database, worker_id: int) -> None:
    """Everyone else's loaded model passes the one whose turn it is, but never more often than the window."""
    asking.submit(database, 1, model="cold")
    for member_id in range(2, fair_queue.WINDOW + 6):
        asking.submit_many(database, member_id, 2)
    both: dict[str, tuple[str, ...]] = {"models": ("picturebook", "cold"), "loaded": ("picturebook",)}
    served = _serve(database, worker_id, fair_queue.WINDOW + 8, **both)
    assert served.index(1) == fair_queue.WINDOW
    assert Counter(served)[1] == 1


def test_without_a_loaded_model_it_is_by_turn_alone(database: Database, worker_id: int) -> None:
    asking.submit(database, 1, model="cold")
    asking.submit(database, 2)
    models = ("picturebook", "cold")
    assert _serve(database, worker_id, 2, models=models, loaded=models) == [1, 2]


def test_of_ones_own_jobs_the_loaded_comes_first(database: Database, worker_id: int) -> None:
    cold = asking.submit(database, model="cold")
    warm = asking.submit(database)
    models = ("picturebook", "cold")
    claim = asking.claim(database, worker_id, models, ("picturebook",))
    assert claim is not None
    assert claim.job_id == warm
    assert asking.must_claim(database, worker_id, models).job_id == cold


def test_a_lost_attempt_keeps_its_turn(database: Database, worker_id: int) -> None:
    asking.submit(database, 1)
    claim = asking.must_claim(database, worker_id)
    for member_id in (2, 3):
        asking.submit(database, member_id)
    with database.writing() as session:
        attempts.requeue(session, claim.job_id, claim.attempt)
    assert _serve(database, worker_id, 3) == [1, 2, 3]


def test_ahead_counts_what_comes_before_by_turns(database: Database, worker_id: int) -> None:
    """The promise is checked against what then happens."""
    for member_id, count in ((1, 5), (2, 2), (3, 1)):
        asking.submit_many(database, member_id, count)
    _serve(database, worker_id, 2)
    mine = [asking.submit(database, 4) for _ in range(2)]
    with database.reading() as session:
        promised = [jobs.ahead(session, job_id) for job_id in mine]
    order = []
    while (claim := asking.claim(database, worker_id)) is not None:
        order.append(claim.job_id)
        asking.finish(database, claim)
    assert promised == [order.index(job_id) for job_id in mine]
    with database.reading() as session:
        assert jobs.ahead(session, mine[0]) == 0


def test_a_worker_that_was_given_up_gets_nothing(database: Database, worker_id: int) -> None:
    asking.submit(database)
    with database.writing() as session:
        workers.stop(session, worker_id)
    with pytest.raises(Stale):
        asking.claim(database, worker_id)
    assert asking.counters(database) == (0, 1)


def test_turn_numbers_only_grow(database: Database) -> None:
    drawn = []
    for _ in range(5):
        with database.writing() as session:
            drawn += [fair_queue.new_turn(session), fair_queue.new_turn(session)]
    assert drawn == sorted(set(drawn))


def test_who_is_served_while_another_claim_looks_gets_no_second_turn(migrated_postgres_url: str) -> None:
    """PostgreSQL looks again only at the row it locks: it must see there that the member had their turn.

    The claim is held up between choosing the member and locking the row, and another claim comes first.
    """
    database = Database(migrated_postgres_url)
    worker_id = asking.worker(database)
    asking.submit_many(database, 4_000, 5)
    in_turn = fair_queue._in_turn(False).where(func.pg_advisory_xact_lock(GATE).is_not(None))
    held_up = fair_queue._first(in_turn)
    at_the_gate = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"

    def look() -> Member | None:
        with database.writing() as session:
            return session.scalars(held_up, {"models": list(asking.MODELS)}).first()

    url = migrated_postgres_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as gate, ThreadPoolExecutor(1) as threads:
        gate.execute("SELECT pg_advisory_lock(%s)", [GATE])
        looking = threads.submit(look)
        assert wait_until(lambda: gate.execute(at_the_gate, [GATE]).fetchone() == (1,))
        asking.must_claim(database, worker_id)
        gate.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        assert looking.result() is None
        assert threads.submit(look).result() is not None
    database.close()
