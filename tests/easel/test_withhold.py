"""The operator withholds a picture: everywhere, in the log, and with a sentence where it cannot be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from storage import config, jobs
from storage.contract import JobState
from storage.database import Database
from storage.tables import AuditEntry, Delivery, Image
from tests.easel.conftest import Easel
from tests.storage import asking


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database(config.load().database)
    opened.upgrade()
    yield opened
    opened.close()


def test_a_jobs_pictures_are_shown_to_nobody_any_more(easel_here: Easel, database: Database) -> None:
    job_id = asking.made(database, guild_id=5)
    assert easel_here("withhold", str(job_id)).returncode == 0
    with database.reading() as session:
        assert jobs.images_of(session, job_id) == []
        assert not any(session.scalars(select(Image.withheld))), "that is the safety check's word"
        assert session.scalars(select(Delivery.state)).all() == ["withdrawn"]
        (entry,) = session.scalars(select(AuditEntry))
        assert (entry.action, entry.actor_id, entry.guild_id, entry.job_id) == (
            "withhold_everywhere",
            0,
            5,
            job_id,
        )


def test_a_job_that_waits_is_stopped(easel_here: Easel, database: Database) -> None:
    job_id = asking.submit(database)
    easel_here("withhold", str(job_id))
    with database.reading() as session:
        assert jobs.get(session, job_id).state == JobState.CANCELLED


def test_it_can_be_undone(easel_here: Easel, database: Database) -> None:
    job_id = asking.made(database, guild_id=5)
    assert "not withheld" in easel_here("withhold", "--undo", str(job_id)).stdout
    easel_here("withhold", str(job_id))
    assert "may be shown again" in easel_here("withhold", "--undo", str(job_id)).stdout
    with database.reading() as session:
        assert len(jobs.images_of(session, job_id)) == 4
        entries = [(entry.action, entry.guild_id) for entry in session.scalars(select(AuditEntry))]
        assert entries == [("withhold_everywhere", 5), ("restore_everywhere", 5)]


def test_one_that_is_not_there_is_a_sentence(easel_here: Easel, database: Database) -> None:
    answer = easel_here("withhold", "404")
    assert answer.returncode == 2
    assert "There is no job 404." in answer.stderr
