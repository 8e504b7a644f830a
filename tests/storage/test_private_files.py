"""What Easel keeps is for its own user: database, pictures and key; and no error repeats a row."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from sqlalchemy import Executable, insert, text
from sqlalchemy.exc import DBAPIError

from storage.backends import Backends
from storage.config import Config
from storage.database import Database
from storage.private_files import make_private_folder, open_to_others
from storage.tables import Member, Message


def test_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "a" / "data")
    backends = Backends.open(config)
    try:
        backends.database.upgrade()
        backends.images.save("000001/1/1-0.png", b"picture")
        with backends.database.writing() as session:
            session.execute(text("SELECT 1"))
        kept = {path.name for path in config.data_dir.iterdir()}
        assert kept >= {"easel.db", "easel.db-wal", "easel.key", "images"}
        open_ = [path for path in (tmp_path / "a", *config.data_dir.iterdir()) if open_to_others(path)]
        assert open_ == []
    finally:
        backends.close()


def test_a_database_that_everybody_could_read_is_closed_to_others(tmp_path: Path) -> None:
    """So is what SQLite kept beside it when it was killed."""
    files = [tmp_path / name for name in ("easel.db", "easel.db-wal", "easel.db-shm")]
    for file in files:
        file.touch(0o644)
    Database(f"sqlite:///{files[0]}").close()
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3


def test_a_folder_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    make_private_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_no_error_repeats_what_a_row_holds(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    secret = "aW50ZXJhY3Rpb246-a-prompt-of-somebody"
    with database.writing() as session:
        session.execute(insert(Member).values(id=1, name="Ada", created_at=0))
    breaks_a_rule = insert(Member).values(id=1, name=secret, created_at=0)
    lacks_a_value = insert(Message).values(id=2, channel_id=3, job_id=None, created_at=0)
    of_another_kind = text("SELECT CAST(:value AS integer) / 0").bindparams(value=secret)
    statements: list[Executable] = [breaks_a_rule, lacks_a_value]
    if database._writer.dialect.name == "postgresql":
        statements.append(of_another_kind)
        statements.append(text("INSERT INTO members (id, name) VALUES (4, :name)").bindparams(name=secret))
    for statement in statements:
        with pytest.raises(DBAPIError) as failure, database.writing() as session:
            session.execute(statement)
        logging.getLogger("test").error("failed: %s", failure.value, exc_info=failure.value)
    assert "IntegrityError" in caplog.text
    assert secret not in caplog.text
