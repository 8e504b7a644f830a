"""Transactions and clocks of both databases."""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage import database as module
from storage import jobs, members, submissions
from storage.database import Database, now
from storage.errors import ConfigError
from storage.tables import Job, Member
from tests.storage import asking

POSTGRES_IDLE_MS = module.POSTGRES_IDLE_MS


def test_no_update_is_lost_between_threads(database: Database) -> None:
    with database.writing() as session:
        members.member(session, 1)

    def add(_: int) -> None:
        for _ in range(25):
            with database.writing() as session:
                session.get_one(Member, 1, with_for_update=True).waiting_limit += 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(8)))
    with database.reading() as session:
        assert session.get_one(Member, 1).waiting_limit == 10 + 200


def test_a_writer_that_reads_first_waits_for_another(sqlite_database: Database) -> None:
    """Deferred, the second would fail at once where it writes: what it read is not the newest any more."""
    with sqlite_database.writing() as session:
        members.member(session, 1)
    second = threading.Thread(target=_read_then_write, args=(sqlite_database,))
    with sqlite_database.writing() as session:
        member = session.get_one(Member, 1)
        second.start()
        time.sleep(0.3)
        assert second.is_alive()
        member.waiting_limit += 1
    second.join()
    with sqlite_database.reading() as session:
        assert session.get_one(Member, 1).waiting_limit == 12


def _read_then_write(database: Database) -> None:
    with database.writing() as session:
        session.get_one(Member, 1).waiting_limit += 1


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    asking.submit(database)
    with database.writing() as session:
        session.get_one(Member, 1).waiting_limit = 77
        session.flush()
        assert asking.counters(database) == (0, 1)
        with database.reading() as reader:
            assert reader.get_one(Member, 1).waiting_limit == 10


def test_a_reader_sees_one_state(database: Database) -> None:
    asking.submit(database)
    with database.reading() as session:
        first = session.scalars(select(Member.waiting)).one()
        asking.submit(database)
        assert session.scalars(select(Member.waiting)).one() == first == 1


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), database.reading() as session:
        members.member(session, 1)


def test_what_raises_leaves_no_trace(database: Database) -> None:
    def submit_and_break(session: Session) -> None:
        submissions.submit(session, asking.draft())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.writing() as session:
        submit_and_break(session)
    with database.reading() as session:
        assert session.scalars(select(Job)).all() == []
        assert session.scalars(select(Member)).all() == []


def test_rows_stay_readable_when_the_transaction_is_over(database: Database) -> None:
    with database.writing() as session:
        job = submissions.submit(session, asking.draft(press="p", interaction_id=3)).job
    assert {column: getattr(job, column) for column in Job.__table__.columns.keys()}["press"] == "p"  # noqa: SIM118


async def test_the_same_statements_from_a_loop(database: Database) -> None:
    def thread_of(_session: Session, name: str) -> str:
        return f"{name} {threading.current_thread().name}"

    made = await asyncio.gather(
        *(database.write(submissions.submit, asking.draft(member_id)) for member_id in range(1, 9))
    )
    assert len({submission.job.id for submission in made}) == 8
    job = await database.read(jobs.get, made[0].job.id)
    assert job.member_id == 1
    assert (await database.read(thread_of, name="on")).startswith("on database")


async def test_statements_from_a_loop_run_in_the_callers_context(sqlite_database: Database) -> None:
    said: contextvars.ContextVar[str] = contextvars.ContextVar("said")
    said.set("here")
    assert await sqlite_database.read(lambda _: said.get()) == "here"
    assert await sqlite_database.write(lambda _: said.get()) == "here"


async def test_the_loop_goes_on_while_the_database_waits(sqlite_database: Database) -> None:
    with sqlite_database.writing() as session:
        members.member(session, 1)
        waiting = asyncio.ensure_future(sqlite_database.write(submissions.submit, asking.draft()))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert (await waiting).fresh


def test_the_clock_is_the_databases_and_moves_within_a_transaction(database: Database) -> None:
    with database.writing() as session:
        first = now(session)
        time.sleep(0.02)
        second = now(session)
    assert isinstance(first, int)
    assert 15 <= second - first < 5_000
    assert abs(first - time.time() * 1000) < 60_000


def test_sqlite_is_prepared(sqlite_database: Database) -> None:
    settings = {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 2,
        "busy_timeout": module.SQLITE_BUSY_MS,
    }
    for session_of in (sqlite_database.reading, sqlite_database.writing):
        with session_of() as session:
            assert {name: session.scalar(text(f"PRAGMA {name}")) for name in settings} == settings
            assert session.scalar(text("SELECT lower('ÄÖÜ')")) == "äöü"


def test_a_postgres_transaction_that_stops_is_ended(
    migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POSTGRES_IDLE_MS", POSTGRES_IDLE_MS)
    database = Database(migrated_postgres_url)
    with database.writing() as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "5s"
    database.close()


def test_postgres_coming_back_is_noticed(migrated_postgres_url: str) -> None:
    """Every connection is cut, as a restart does; the next transaction works."""
    database = Database(migrated_postgres_url)
    other = Database(migrated_postgres_url)
    own = text("SELECT pg_backend_pid()")
    with database.writing() as session:
        session.execute(update(Member).values(name="x"))
        before = session.scalar(own)
    with other.writing() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with database.writing() as session:
        session.execute(update(Member).values(name="x"))
        assert session.scalar(own) != before
    database.close()
    other.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/easel"])
def test_a_database_that_cannot_serve_is_said_in_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match="EASEL_DATABASE_URL cannot be used"):
        Database(url)


def test_the_old_sqlite_that_has_no_subseconds_is_meant(sqlite_database: Database) -> None:
    """The statement uses nothing that Debian 12's SQLite 3.40 answers with a silent NULL."""
    statement = str(module._epoch_ms_sqlite())
    with sqlite3.connect(":memory:") as connection:
        (answer,) = connection.execute(f"SELECT {statement}").fetchone()
    connection.close()
    assert "unixepoch" not in statement
    assert abs(answer - time.time() * 1000) < 60_000
