"""Reports, their verdicts, and pictures taken away."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from storage import counters, deliveries, jobs, members, moderation, removals, reports, takedowns, words
from storage.contract import JobState
from storage.database import Database
from storage.errors import DataDeleted, NoSuchJob, NoSuchMessage
from storage.tables import Address, Delivery, Job, Message
from storage.takedowns import TakenDown
from tests.storage import asking

GUILD, MOD, ALICE, BOB = 7, 99, 2, 3


def _made(database: Database, *message_ids: int) -> int:
    """A delivered job; the second of its messages shows its first picture alone."""
    job_id = asking.made(database, guild_id=GUILD)
    with database.writing() as session:
        first = jobs.images_of(session, job_id)[0].id
        delivery = session.scalars(select(Delivery).where(Delivery.job_id == job_id)).one()
        for place, message_id in enumerate(message_ids):
            image_id = first if place else None
            shown = Message(id=message_id, channel_id=900, guild_id=GUILD, job_id=job_id, image_id=image_id)
            deliveries.posted(session, delivery.id, shown)
        deliveries.done(session, delivery.id)
    return job_id


def _report(database: Database, job_id: int, by: int = ALICE) -> bool:
    with database.writing() as session:
        return reports.report(session, job_id, GUILD, by)


def _undecided(database: Database, before: int | None = None, guild_id: int = GUILD) -> list[tuple[int, int]]:
    with database.reading() as session:
        found = reports.undecided(session, guild_id, before)
        return [(report.job_id, report.reporter_id) for report in found]


def _actions(database: Database) -> list[str]:
    with database.reading() as session:
        assert moderation.verify_chain(session) == []
        return [entry.action for entry in moderation.entries(session, GUILD)]


def test_a_job_is_reported_once_by_each_member_and_listed_once(database: Database) -> None:
    first, second = _made(database, 11), _made(database, 12)
    assert [_report(database, first), _report(database, first), _report(database, first, BOB)] == [
        True,
        False,
        True,
    ]
    assert _report(database, second)
    assert _undecided(database) == [(second, ALICE), (first, BOB)]
    assert _undecided(database, guild_id=8) == []
    with database.reading() as session:
        newest = reports.undecided(session, GUILD)[0].id
    assert _undecided(database, before=newest) == [(first, BOB)]
    with database.writing() as session, pytest.raises(NoSuchJob):
        reports.report(session, 404, GUILD, ALICE)


def test_withholding_hides_a_jobs_pictures(database: Database) -> None:
    job_id = _made(database, 11, 12)
    _report(database, job_id)
    _report(database, job_id, BOB)
    with database.writing() as session:
        deliveries.request_again(session, Address(1, GUILD, 900), job_id=job_id, once="show:1")
        report = reports.undecided(session, GUILD)[0]
        withheld = reports.withhold(session, report.id, GUILD, MOD)
        assert withheld is not None
        assert withheld.job.id == job_id
        assert [message.id for message in withheld.messages] == [11, 12]
    assert _undecided(database) == []
    with database.writing() as session, pytest.raises(TakenDown):
        takedowns.check(session, job_id, GUILD)
    with database.writing() as session:
        assert deliveries.messages_of(session, job_id) == []
        again = select(Delivery.state).where(Delivery.kind == deliveries.AGAIN)
        assert session.scalars(again).all() == ["withdrawn"], "what is posted, or may be, is to be deleted"
        assert len(members.history(session, 1)) == 1, "its member keeps it"
        assert reports.withhold(session, report.id, GUILD, MOD) is None
        assert not reports.dismiss(session, report.id, GUILD, MOD)
    assert _actions(database) == ["withhold"]


def test_withholding_stops_a_job_that_is_not_finished(database: Database) -> None:
    job_id = asking.submit(database, guild_id=GUILD)
    _report(database, job_id)
    with database.writing() as session:
        report = reports.undecided(session, GUILD)[0]
        reports.withhold(session, report.id, GUILD, MOD)
        assert jobs.get(session, job_id).state == JobState.CANCELLED
        assert counters.verify(session) == []


def test_dismissing_leaves_all_as_it_is(database: Database) -> None:
    job_id = _made(database, 11)
    _report(database, job_id)
    with database.writing() as session:
        report = reports.undecided(session, GUILD)[0]
        assert not reports.dismiss(session, report.id, 8, MOD)
        assert not reports.dismiss(session, 404, GUILD, MOD)
        assert reports.dismiss(session, report.id, GUILD, MOD)
    assert _undecided(database) == []
    assert _actions(database) == ["dismiss"]
    with database.reading() as session:
        assert len(members.history(session, 1)) == 1
        assert [message.id for message in deliveries.messages_of(session, job_id)] == [11]
    assert not _report(database, job_id)


def test_removing_one_picture_leaves_the_others(database: Database) -> None:
    job_id = _made(database, 11, 12)
    with database.writing() as session:
        first = jobs.images_of(session, job_id)[0].id
        assert [message.id for message in removals.remove(session, job_id, first).messages] == [12]
    with database.writing() as session:
        assert [image.index for image in jobs.images_of(session, job_id)] == [1, 2, 3]
        assert [message.id for message in removals.remove(session, job_id).messages] == [11]
        assert jobs.images_of(session, job_id) == []
        assert removals.remove(session, job_id).messages == []
        with pytest.raises(NoSuchJob):
            removals.remove(session, 404)


def test_a_message_is_known_by_its_pictures_or_its_progress(database: Database) -> None:
    job_id, waiting = _made(database, 11), asking.submit(database)
    with database.writing() as session:
        jobs.set_progress_message(session, waiting, 13)
        assert deliveries.job_of_message(session, 11).id == job_id
        assert deliveries.job_of_message(session, 13).id == waiting
        with pytest.raises(NoSuchMessage):
            deliveries.job_of_message(session, 14)
        session.get_one(Job, job_id).deleted_at = 1
        session.flush()
        with pytest.raises(DataDeleted):
            deliveries.job_of_message(session, 11)


def test_a_guild_forbids_words_of_its_own(database: Database) -> None:
    with database.writing() as session:
        assert words.listed(session, GUILD) == []
        assert words.forbid(session, GUILD, MOD, "spider")
        assert words.forbid(session, GUILD, MOD, "red moon")
        assert not words.forbid(session, GUILD, MOD, "spider")
    with database.writing() as session:
        assert words.listed(session, GUILD) == ["spider", "red moon"]
        assert words.listed(session, 8) == []
        assert words.permit(session, GUILD, MOD, "spider")
        assert not words.permit(session, GUILD, MOD, "spider")
        assert words.listed(session, GUILD) == ["red moon"]
    assert _actions(database) == ["permit", "forbid", "forbid"]
    with database.reading() as session:
        assert moderation.entries(session, GUILD)[0].detail == {"word": "spider"}


def test_so_many_words_and_no_more(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MOST", 2)
    with database.writing() as session:
        assert [words.forbid(session, GUILD, MOD, word) for word in ("a", "b", "c")] == [True, True, False]
