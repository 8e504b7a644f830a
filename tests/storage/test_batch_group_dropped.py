"""Jobs that were made with a batch group come along without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, Table, select

from storage import database as module
from storage.database import Database
from tests.services import fresh_postgres

MEMBER = {"id": 7, "name": "m", "settings": {}, "served": 0, "waiting": 1, "running": 0, "created_at": 1}
LIMITS = {"running_limit": 3, "waiting_limit": 10}
JOB = {
    "member_id": 7,
    "action": "imagine",
    "text": "a cat",
    "model": "mine",
    "batch_group": "mine/64x64",
    "request": {},
    "request_version": 1,
    "sequence": 0,
    "attempts": 0,
    "handbacks": 0,
    "speed": "fast",
    "priority": 0,
    "held": False,
    "timings": {},
    "created_at": 1,
    "user_install": False,
    "stealth": False,
    "upload_limit": 1,
}
IMAGE = {
    "id": 1,
    "job_id": 1,
    "attempt": 1,
    "index": 0,
    "seed": 1,
    "width": 64,
    "height": 64,
    "key": "k",
    "sha256": "0",
    "size": 1,
    "safety_scores": {},
    "withheld": False,
    "created_at": 1,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'easel.db'}")
        yield database
        database.close()
        return
    with fresh_postgres() as url:
        database = Database(url)
        yield database
        database.close()


def _migrate(database: Database, direction: Callable[[Config, str], None], revision: str) -> None:
    config = module._alembic()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        direction(config, revision)


def _insert(database: Database, name: str, *rows: dict[str, Any]) -> None:
    with database.migrating() as connection:
        table = Table(name, MetaData(), autoload_with=connection)
        for row in rows:
            connection.execute(table.insert().values(row))


def _column(database: Database, *names: str) -> list[tuple[Any, ...]]:
    with database.migrating() as connection:
        jobs = Table("jobs", MetaData(), autoload_with=connection)
        found = connection.execute(select(*(jobs.c[name] for name in names)).order_by(jobs.c.id))
        return [tuple(row) for row in found]


def test_jobs_lose_their_batch_group_and_nothing_else(empty: Database) -> None:
    _migrate(empty, command.upgrade, "0001")
    _insert(empty, "members", MEMBER | LIMITS)
    _insert(empty, "jobs", {**JOB, "id": 1, "state": "succeeded"})
    _insert(empty, "images", IMAGE)
    child = {"parent_job_id": 1, "parent_image_id": 1, "parent_index": 0}
    _insert(empty, "jobs", {**JOB, "id": 2, "state": "queued", **child})
    _migrate(empty, command.upgrade, "0006")
    expected = [(1, None, "a cat", "succeeded"), (2, 1, "a cat", "queued")]
    assert _column(empty, "id", "parent_image_id", "text", "state") == expected
    with pytest.raises(KeyError, match="batch_group"):
        _column(empty, "batch_group")
    _migrate(empty, command.downgrade, "0001")
    assert _column(empty, "id", "parent_image_id", "text", "state") == expected
    assert _column(empty, "batch_group") == [("unknown",)] * 2
