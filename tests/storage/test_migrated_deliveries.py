"""Deliveries that were written before they could be posted or withdrawn come along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, text

from storage import database as module
from storage.database import Database
from tests.services import fresh_postgres

MEMBER = {"id": 1, "name": "ada", "settings": {}, "served": 0, "waiting": 0, "running": 0, "created_at": 1}
JOB = {
    "id": 1,
    "member_id": 1,
    "action": "imagine",
    "model": "m",
    "batch_group": "m",
    "request": {},
    "text": "a",
}
STATE = {
    "request_version": 1,
    "state": "succeeded",
    "sequence": 1,
    "attempts": 1,
    "handbacks": 0,
    "timings": {},
}
MODE = {
    "speed": "fast",
    "priority": 0,
    "held": False,
    "stealth": False,
    "user_install": False,
    "created_at": 1,
}
DELIVERY = {
    "job_id": 1,
    "member_id": 1,
    "kind": "result",
    "upload_limit": 9,
    "user_install": False,
    "tries": 1,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """At the migration before, with rows."""
    if request.param == "sqlite":
        yield from _opened(f"sqlite:///{tmp_path / 'easel.db'}")
        return
    with fresh_postgres() as url:
        yield from _opened(url)


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    config = module._alembic()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _write(connection)
    yield database
    database.close()


def _write(connection: Connection) -> None:
    tables = MetaData()
    tables.reflect(connection)

    def add(table: str, **row: Any) -> None:
        connection.execute(tables.tables[table].insert().values(row))

    add("members", **MEMBER, running_limit=1, waiting_limit=1)
    add("jobs", **JOB, **STATE, **MODE, upload_limit=9)
    for id_, state, attempted_at, message_id, ephemeral in (
        (1, "open", 7, 70, False),
        (2, "open", 7, None, True),
        (3, "open", 7, None, False),
        (4, "open", None, None, False),
        (5, "done", 7, 71, False),
        (9, "done", 7, 72, False),
    ):
        made = {"id": id_, "once": str(id_), "due_at": 5, "created_at": 5}
        attempt = {"state": state, "attempted_at": attempted_at, "message_id": message_id}
        add("deliveries", **DELIVERY, **made, **attempt, ephemeral=ephemeral)
    add("messages", id=70, channel_id=900, job_id=1, created_at=1)
    connection.execute(text("DELETE FROM deliveries WHERE id = 9"))


def test_what_was_posted_is_posted_and_how_it_was_attempted_follows(database: Database) -> None:
    database.upgrade()
    assert database.check() == []
    rows = text("SELECT id, state, attempted_by, failures FROM deliveries ORDER BY id")
    with database.reading() as session:
        assert [tuple(row) for row in session.execute(rows)] == [
            (1, "posted", "channel", 0),
            (2, "open", "token", 0),
            (3, "open", "channel", 0),
            (4, "open", None, 0),
            (5, "done", "channel", 0),
        ]
        assert [bool(seen) for seen in session.scalars(text("SELECT ephemeral FROM messages"))] == [False]


def test_no_id_is_given_twice_on_sqlite(database: Database) -> None:
    database.upgrade()
    with database.reading() as session:
        if session.get_bind().dialect.name == "sqlite":
            last = text("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'")
            assert session.scalar(last) == 9
