"""Between two attempts that failed there is a pause, longer and longer; who asked for the end gets it."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from storage import attempts, jobs, states
from storage.attempts import Blame
from storage.contract import ErrorCode, JobState
from storage.database import Database
from storage.tables import Job
from tests.storage import asking


@pytest.fixture
def worker_id(database: Database) -> int:
    return asking.worker(database)


def _fail(database: Database, job_id: int, attempt: int, blame: Blame = Blame.JOB) -> JobState:
    with database.writing() as session:
        return attempts.fail(session, job_id, attempt, ErrorCode.CRASHED, "", retry=True, blame=blame)


def _let_pass(database: Database, job_id: int, milliseconds: int) -> None:
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == job_id).values(due_at=Job.due_at - milliseconds))


def _check_pause(database: Database, worker_id: int, job_id: int, milliseconds: int) -> None:
    _let_pass(database, job_id, milliseconds - 1_000)
    assert asking.claim(database, worker_id) is None
    _let_pass(database, job_id, 1_000)


def _not_counted(database: Database, worker_id: int, job_id: int, how: str) -> None:
    """An attempt that does not count, and the pause after it."""
    attempt = asking.must_claim(database, worker_id).attempt
    if how == "handed back":
        with database.writing() as session:
            attempts.requeue(session, job_id, attempt)
    else:
        _fail(database, job_id, attempt, Blame.NOBODY)
        _check_pause(database, worker_id, job_id, attempts.PAUSE_OF_NOBODY_MS)


@pytest.mark.parametrize("how", ["handed back", "nobody's fault"])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_each_pause_is_longer_whatever_happened_that_does_not_count(
    sqlite_database: Database, how: str, times: int
) -> None:
    job_id, worker_id = asking.submit(sqlite_database), asking.worker(sqlite_database)
    assert len(attempts.PAUSES_MS) == attempts.ATTEMPTS - 1
    assert list(attempts.PAUSES_MS) == sorted(attempts.PAUSES_MS)
    for pause in attempts.PAUSES_MS:
        for _ in range(times):
            _not_counted(sqlite_database, worker_id, job_id, how)
        _fail(sqlite_database, job_id, asking.must_claim(sqlite_database, worker_id).attempt)
        _check_pause(sqlite_database, worker_id, job_id, pause)


def test_others_go_on_meanwhile_and_nobody_is_told_of_an_end(database: Database, worker_id: int) -> None:
    pausing = asking.submit(database)
    _fail(database, pausing, asking.must_claim(database, worker_id).attempt)
    own, another = asking.submit(database), asking.submit(database, 2)
    with database.reading() as session:
        assert jobs.ahead(session, pausing) == 0
    assert {asking.must_claim(database, worker_id).job_id for _ in range(2)} == {own, another}
    assert asking.counters(database) == (1, 1)
    with database.writing() as session:
        assert states.cancel(session, pausing) is JobState.CANCELLED
        asking.assert_sound(session)


def test_who_is_suspected_and_who_is_handed_back_wait_for_nothing(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database)
    with database.writing() as session:
        attempts.requeue(session, job_id, asking.must_claim(database, worker_id).attempt)
    _fail(database, job_id, asking.must_claim(database, worker_id).attempt, Blame.WHO_RAN_ALONE)
    assert asking.must_claim(database, worker_id).job_id == job_id


@pytest.mark.parametrize("blame", list(Blame))
@pytest.mark.parametrize("failures", [1, 2, 3, 4])
def test_a_job_asked_to_stop_is_cancelled_however_often_it_failed(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, blame: Blame, failures: int
) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (0,))
    monkeypatch.setattr(attempts, "PAUSE_OF_NOBODY_MS", 0)
    job_id, worker_id = asking.submit(sqlite_database), asking.worker(sqlite_database)
    for attempt in range(1, failures + 1):
        if asking.claim(sqlite_database, worker_id) is None:
            return  # it failed for good before
        if attempt == failures:
            with sqlite_database.writing() as session:
                states.cancel(session, job_id)
        ended = _fail(sqlite_database, job_id, attempt, blame)
    assert ended is JobState.CANCELLED
    assert asking.counters(sqlite_database) == (0, 0)
