"""Members, their settings, their history and what they marked."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from storage import jobs, members
from storage.contract import JobState
from storage.database import Database
from storage.errors import NoSuchImage
from storage.tables import Image
from tests.storage import asking


def test_a_member_is_written_down_and_renamed(database: Database) -> None:
    with database.writing() as session:
        new = members.member(session, 2**63 - 1, "Ada", "de")
        assert (new.id, new.name, new.locale, new.settings, new.running_limit) == (
            2**63 - 1,
            "Ada",
            "de",
            {},
            3,
        )
    with database.writing() as session:
        members.member(session, 2**63 - 1)
    with database.writing() as session:
        kept = members.member(session, 2**63 - 1, "Ada L.")
        assert (kept.name, kept.locale) == ("Ada L.", "de")


def test_settings_are_kept_one_by_one(database: Database) -> None:
    with database.writing() as session:
        members.change_settings(session, 1, model="picturebook", ratio="3:2")
    with database.writing() as session:
        members.change_settings(session, 1, stylize=250, ratio=None)
    with database.writing() as session:
        assert members.member(session, 1).settings == {"model": "picturebook", "stylize": 250}


def test_totals_show_what_was_made_and_what_is_under_way(database: Database) -> None:
    for _ in range(2):
        asking.made(database)
    running, waiting = asking.submit(database), asking.submit(database)
    asking.must_claim(database, asking.worker(database))
    with database.reading() as session:
        totals = members.totals(session, 1)
        nobody = members.totals(session, 404)
    assert (totals.jobs, totals.images) == (2, 8)
    assert totals.busy_ms >= 0
    assert [job.id for job in totals.running] == [running]
    assert [job.id for job in totals.waiting] == [waiting]
    assert (nobody.jobs, nobody.images, nobody.busy_ms, nobody.running) == (0, 0, 0, [])


def _history(database: Database, member_id: int = 1, words: str = "", **options: int | bool) -> list[int]:
    with database.reading() as session:
        return [job.id for job in members.history(session, member_id, words, **options)]  # type: ignore[arg-type]


def test_history_is_newest_first_in_pages(database: Database) -> None:
    mine = [asking.made(database) for _ in range(7)]
    asking.made(database, 2)
    asking.submit(database)
    assert _history(database) == mine[:1:-1]
    assert _history(database, before=mine[2]) == [mine[1], mine[0]]
    assert _history(database, after=mine[0], limit=3) == [mine[3], mine[2], mine[1]]
    assert _history(database, after=mine[6]) == []


def test_history_has_only_what_can_be_shown(database: Database) -> None:
    worker_id = asking.worker(database)
    for state in (JobState.FAILED, JobState.CANCELLED, JobState.WITHHELD):
        asking.submit(database)
        asking.end(database, asking.must_claim(database, worker_id), state)
    emptied, shown = asking.made(database), asking.made(database)
    with database.writing() as session:
        session.execute(update(Image).where(Image.job_id == emptied).values(deleted_at=1))
    assert _history(database) == [shown]


def test_history_by_words(database: Database) -> None:
    castle = asking.made(database, text="A red castle at night --ar 3:2")
    fish = asking.made(database, text="a RED fish, 100% Öl_farbe")
    assert _history(database, words="red") == [fish, castle]
    assert _history(database, words="night RED") == [castle]
    assert _history(database, words="--ar 3:2") == [castle]
    assert _history(database, words="öl_FARBE") == [fish]
    assert _history(database, words="100%") == [fish]
    assert _history(database, words="1%") == []
    assert _history(database, words="red_") == []


def test_marked_pictures_of_anyones(database: Database) -> None:
    theirs, mine, unmarked = asking.made(database, 2), asking.made(database), asking.made(database)
    with database.writing() as session:
        images = [jobs.images_of(session, job_id)[0].id for job_id in (theirs, mine)]
        for image_id in images:
            assert members.toggle_favorite(session, 1, image_id)
            assert members.is_favorite(session, 1, image_id)
            assert not members.is_favorite(session, 2, image_id)
    assert _history(database, favorites=True) == [mine, theirs]
    assert _history(database, favorites=True, before=mine) == [theirs]
    assert unmarked in _history(database)
    with database.writing() as session:
        assert not members.toggle_favorite(session, 1, images[1])
    assert _history(database, favorites=True) == [theirs]
    with pytest.raises(NoSuchImage), database.writing() as session:
        members.toggle_favorite(session, 1, 404)
