"""Both databases, with their tables made and empty."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from storage import database as database_module
from storage.database import Database
from storage.tables import Table
from tests.storage import racers


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may leave a test's transaction idle for longer than ours ever are."""
    monkeypatch.setattr(database_module, "POSTGRES_IDLE_MS", racers.IDLE_MS)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "easel.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with its tables, empty."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'easel.db')}"


@pytest.fixture(scope="module")
def migrated_postgres_url(postgres_url: str) -> str:
    database = Database(postgres_url)
    database.upgrade()
    database.close()
    return postgres_url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A SQLite, then a PostgreSQL database with its tables, empty."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    url = str(request.getfixturevalue("migrated_postgres_url"))
    database = Database(url)
    with database.writing() as session:
        # TRUNCATE would write every table's files anew, which takes ten times as long.
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for table in Table.metadata.tables.values():
            session.execute(table.delete())
            if table.autoincrement_column is not None:
                session.execute(text(f"SELECT setval('{table.name}_id_seq', 1, false)"))
    database.close()
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A SQLite, then a PostgreSQL database with its tables, empty."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    opened = Database(sqlite_url)
    yield opened
    opened.close()
