"""A member's rows are read in transactions that do not wait for whoever reads them."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from storage import belongings
from storage import database as database_module
from storage.database import Database
from storage.tables import Image
from tests.storage import asking

IDLE_MS = 100
"""What PostgreSQL allows a transaction that does nothing; Easel's own is fifty times as long."""


def test_who_reads_slowly_is_not_cut_off(migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "POSTGRES_IDLE_MS", IDLE_MS)
    monkeypatch.setattr(belongings, "PAGE", 3)
    monkeypatch.setattr(belongings, "JOBS", 2)
    database = Database(migrated_postgres_url)
    member_id = 6_001
    for _ in range(3):
        asking.made(database, member_id)
    with database.reading() as session:
        session.scalars(select(Image.id)).all()
        time.sleep(3 * IDLE_MS / 1000)
        with pytest.raises(DBAPIError):
            session.scalars(select(Image.id)).all()
    names = set()
    slow = 5
    for name, page in belongings.rows(database, member_id):
        names.add(name)
        assert 0 < len(page) <= 3
        time.sleep(3 * IDLE_MS / 1000 if (slow := slow - 1) > 0 else 0)
    assert {"members", "jobs", "images", "deliveries"} <= names
    found = []
    for image, job in belongings.pictures(database, member_id):
        found.append((job.id, image.index))
        time.sleep(3 * IDLE_MS / 1000 if len(found) % 6 == 0 else 0)
    assert len(found) == 12
    assert found == sorted(found)
    database.close()
