"""The migrations make what `tables.py` says, on both databases."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, inspect, select, text
from sqlalchemy import Table as Reflected
from sqlalchemy.pool import NullPool

from storage import brought
from storage import database as module
from storage.database import Database
from storage.errors import ConfigError
from storage.tables import Bringing, Job, JobImage, Table
from tests.services import fresh_postgres
from tests.storage import asking

ROOT = Path(__file__).parents[2]
HEAD = ScriptDirectory.from_config(module._alembic()).get_current_head()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'easel.db'}"
        return
    with fresh_postgres() as url:
        yield url


def _shape(connection: Connection) -> dict[str, Any]:
    """All that the database can tell of its tables, order of columns left out."""
    inspector = inspect(connection)
    shape: dict[str, Any] = {}
    for name in inspector.get_table_names():
        if name == "alembic_version":
            continue
        shape[name] = {
            "columns": sorted(str(column) for column in inspector.get_columns(name)),
            "primary": str(inspector.get_pk_constraint(name)),
            "foreign": sorted(str(key) for key in inspector.get_foreign_keys(name)),
            "unique": sorted(str(key) for key in inspector.get_unique_constraints(name)),
            "checks": sorted(str(check) for check in inspector.get_check_constraints(name)),
            "indexes": sorted(_spell(index) for index in inspector.get_indexes(name)),
        }
    return shape


def test_the_migrations_make_the_tables(empty_url: str, tmp_path: Path) -> None:
    database = Database(empty_url)
    database.upgrade()
    assert database.check() == []
    with database._reader.connect() as connection:
        migrated = _shape(connection)
        autoincrement = _autoincrement(connection)
    database.close()

    engine = create_engine(empty_url, poolclass=NullPool)
    with engine.begin() as connection:
        for name in inspect(connection).get_table_names():
            cascade = "" if engine.dialect.name == "sqlite" else "CASCADE"
            connection.execute(text(f'DROP TABLE "{name}" {cascade}'))
        Table.metadata.create_all(connection)
        assert _shape(connection) == migrated
        assert _autoincrement(connection) == autoincrement


def _spell(index: Any) -> str:
    options = {option: str(value) for option, value in index.get("dialect_options", {}).items()}
    return str(sorted({**index, "dialect_options": options}.items()))


def _autoincrement(connection: Connection) -> set[str]:
    if connection.dialect.name != "sqlite":
        return set()
    return set(connection.scalars(text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")))


def test_every_id_that_the_database_gives_is_autoincrement_on_sqlite(sqlite_database: Database) -> None:
    given = {name for name, table in Table.metadata.tables.items() if table.autoincrement_column is not None}
    with sqlite_database._reader.connect() as connection:
        assert _autoincrement(connection) == given
    assert {"jobs", "images", "deliveries", "workers", "bans", "audit"} <= given


def test_upgrading_again_changes_nothing(empty_url: str) -> None:
    database = Database(empty_url)
    assert database.revision() is None
    assert database.check() == [f"The database is at nothing, this version needs {HEAD}: easel db upgrade."]
    database.upgrade()
    database.upgrade()
    assert database.revision() == HEAD
    assert database.check() == []
    database.close()


def test_two_that_upgrade_at_once_do_it_once(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        for _ in threads.map(Database.upgrade, databases):
            pass
    assert databases[0].check() == []
    for database in databases:
        database.close()


def test_who_comes_while_another_makes_the_file_waits(tmp_path: Path) -> None:
    file = tmp_path / "easel.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE other (id INTEGER)")
    released = threading.Timer(0.5, other.execute, ["COMMIT"])
    released.start()
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    assert released.finished.is_set()
    assert database.revision() is not None
    database.close()
    other.close()


def test_check_names_what_differs(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("DROP INDEX ix_jobs_history"))
        session.execute(text("ALTER TABLE members ADD COLUMN shoe_size INTEGER"))
    differences = "\n".join(database.check())
    assert "ix_jobs_history" in differences
    assert "shoe_size" in differences
    with database.writing() as session:
        session.execute(text("CREATE INDEX ix_jobs_history ON jobs (member_id, id)"))
        session.execute(text("ALTER TABLE members DROP COLUMN shoe_size"))
    assert database.check() == []


def test_downgrading_leaves_nothing(empty_url: str) -> None:
    database = Database(empty_url)
    database.upgrade()
    config = module._alembic()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with database._reader.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    database.close()


def test_a_migration_that_breaks_a_link_is_taken_back(sqlite_database: Database) -> None:
    with pytest.raises(ConfigError, match="nothing was changed"), sqlite_database.migrating() as connection:
        connection.execute(text("INSERT INTO favorites VALUES (1, 2, 3)"))
    with sqlite_database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM favorites")).scalar_one() == 0


def test_the_alembic_command_agrees(sqlite_url: str) -> None:
    environment = {**os.environ, "EASEL_DATABASE_URL": sqlite_url}
    alembic = [sys.executable, "-m", "alembic", "check"]
    done = subprocess.run(alembic, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "No new upgrade operations detected" in done.stdout


def _insert(connection: Connection, name: str, **values: Any) -> None:
    """A row of a table as it is at this revision; what must be there and is not given is empty."""
    table = Reflected(name, MetaData(), autoload_with=connection)
    empty: dict[str, Any] = {"INTEGER": 0, "BIGINT": 0, "BOOLEAN": False, "JSON": {}}
    needed = {
        column.name: empty.get(str(column.type), "")
        for column in table.c
        if not column.nullable and not (column.primary_key and column.name not in values)
    }
    connection.execute(table.insert().values({**needed, **values}))


def test_older_pictures_come_along(empty_url: str) -> None:
    """Those of jobs beside running work, those of a question that waits for its yes at once."""
    database = Database(empty_url)
    config = module._alembic()
    brought_key, composed_key = f"incoming/{'a' * 64}.png", f"inputs/{'b' * 64}.png"
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _insert(connection, "members", id=1)
        request = {"prompt": "a castle", "source_key": brought_key, "mask_key": composed_key}
        for asked in (request, {"prompt": brought_key}, {}):
            _insert(connection, "jobs", member_id=1, request=asked, state="succeeded", speed="fast")
        for state in ("proposed", "declined"):
            planned = {"text": "", "request": {"source_key": brought_key}}
            _insert(connection, "batches", member_id=1, wishes=[planned, planned], state=state, created_at=7)
    database.upgrade()
    brought.fill(database)
    with database.reading() as session:
        (bringing,) = session.scalars(select(Bringing))
        assert (bringing.key, bringing.member_id, bringing.created_at) == (brought_key, 1, 7)
        uses = {(use.job_id, use.key) for use in session.scalars(select(JobImage))}
    assert uses == {(1, brought_key), (1, composed_key)}
    database.close()


def test_movies_of_deleted_pictures_are_forgotten(empty_url: str) -> None:
    database = Database(empty_url)
    config = module._alembic()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        _insert(connection, "members", id=1)
        for job_id in (1, 2):
            movie = {"movie_key": f"000000/{job_id}/1-movie.webp"}
            _insert(connection, "jobs", id=job_id, member_id=1, state="succeeded", speed="fast", **movie)
            for index in (0, 1):
                deleted_at = 5 if (job_id, index) == (2, 1) else None
                _insert(connection, "images", job_id=job_id, index=index, deleted_at=deleted_at)
    database.upgrade()
    with database.reading() as session:
        keys = session.scalars(select(Job.movie_key).order_by(Job.id)).all()
    assert keys == ["000000/1/1-movie.webp", None]
    database.close()


OLD_MEMBER = """
INSERT INTO members (id, name, settings, served, waiting, running, running_limit, waiting_limit, created_at)
VALUES (1, '', '{}', 0, 1, 0, 3, 10, 0)
"""
OLD_JOB = """
INSERT INTO jobs (member_id, action, text, model, batch_group, request, request_version, state, sequence,
 attempts, handbacks, speed, priority, held, timings, created_at, user_install, stealth, upload_limit)
VALUES (1, 'imagine', '', 'picturebook', 'g', :request, 1, 'queued', 0, 0, 0, 'fast', 0, :off, '{}', 1,
 :off, :off, 1)
"""


def test_jobs_that_wait_come_along(empty_url: str) -> None:
    """From the first tables: they are no suspects, pause for nothing, and are claimed as before."""
    database = Database(empty_url)
    config = module._alembic()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (OLD_MEMBER, OLD_JOB):
            values = {"request": asking.draft().request.model_dump_json(), "off": False}
            connection.execute(text(statement), values if statement is OLD_JOB else {})
    database.upgrade()
    assert database.check() == []
    claim = asking.must_claim(database, asking.worker(database))
    assert not claim.alone
    job = asking.finish(database, claim)
    assert (job.suspect, job.due_at) == (False, None)
    database.close()
