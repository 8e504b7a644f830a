"""Errors after which the same transaction may be run again, as the databases really raise them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from storage import database as module
from storage.database import Database, passes
from storage.tables import Member
from tests.storage import asking


@pytest.fixture
def postgresql(migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(module, "POSTGRES_IDLE_MS", 200)
    with closing(Database(migrated_postgres_url)) as database:
        with database.writing() as session:
            session.execute(
                text(
                    "INSERT INTO guilds (id, settings, created_at) VALUES (1, '{}', 0), (2, '{}', 0)"
                    " ON CONFLICT DO NOTHING"
                )
            )
        yield database


def raised(run: Callable[[], object]) -> SQLAlchemyError:
    with pytest.raises(SQLAlchemyError) as caught:
        run()
    return caught.value


def _freeze(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("SELECT 1"))
        time.sleep(0.5)
        session.execute(text("SELECT 2"))


def _lose_connection(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def _deadlock(database: Database) -> None:
    both = threading.Barrier(2)

    def take(first: int, second: int) -> None:
        with database.writing() as session:
            session.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            session.execute(text(f"UPDATE guilds SET locale = 'en' WHERE id = {first}"))
            both.wait(10)
            session.execute(text(f"UPDATE guilds SET locale = 'en' WHERE id = {second}"))

    caught: list[SQLAlchemyError] = []

    def other() -> None:
        try:
            take(2, 1)
        except SQLAlchemyError as error:
            caught.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        take(1, 2)
    finally:
        thread.join()
    raise caught[0]


def _serialize(database: Database) -> None:
    with database.writing() as session:
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        session.execute(text("SELECT * FROM guilds")).all()
        with database.writing() as other:
            other.execute(text("UPDATE guilds SET locale = 'de' WHERE id = 1"))
        session.execute(text("UPDATE guilds SET locale = 'fr' WHERE id = 1"))


@pytest.mark.parametrize("trouble", [_freeze, _lose_connection, _deadlock, _serialize])
def test_what_postgresql_ends_may_be_run_again(
    postgresql: Database, trouble: Callable[[Database], None]
) -> None:
    assert passes(raised(lambda: trouble(postgresql)))


def _write_twice(session: Session) -> None:
    for _ in range(2):
        session.execute(text("INSERT INTO guilds (id, settings, created_at) VALUES (9, '{}', 0)"))


@pytest.mark.parametrize("statement", ["SELECT nothing FROM guilds", "SELECT 1 / 0", "nonsense"])
def test_what_is_wrong_stays_wrong(postgresql: Database, statement: str) -> None:
    def run() -> None:
        with postgresql.writing() as session:
            session.execute(text(statement))

    assert not passes(raised(run))


def test_a_row_that_is_there_already_stays_there(database: Database) -> None:
    def run() -> None:
        with database.writing() as session:
            _write_twice(session)

    assert not passes(raised(run))
    assert not passes(ZeroDivisionError())


def test_a_locked_file_may_be_tried_again(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SQLITE_BUSY_MS", 10)
    with closing(Database(sqlite_url)) as database, closing(sqlite3.connect(sqlite_url[10:])) as other:
        other.execute("BEGIN IMMEDIATE")
        assert passes(raised(lambda: asking.submit(database)))
        with suppress(DBAPIError), database.reading() as session:
            assert session.scalars(select(Member)).all() == []
