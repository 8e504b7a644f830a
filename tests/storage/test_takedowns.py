"""A guild's moderators decide about their own guild: what they take down stays elsewhere."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import select, text

from storage import database as module
from storage import deliveries, jobs, moderation, reports, takedowns
from storage.contract import JobState
from storage.database import Database
from storage.tables import Address, Delivery, Image, Message, Takedown
from storage.takedowns import EVERYWHERE, OPERATOR, TakenDown
from tests.storage import asking

HOME, ELSEWHERE, MOD = 7, 8, 99
OWNER = 1


def _shown(database: Database) -> tuple[int, list[int]]:
    """A job of HOME's: its grid (11), one picture alone (12), the grid elsewhere (21) and sent home (31)."""
    job_id = asking.made(database, guild_id=HOME)
    with database.writing() as session:
        delivery = session.scalars(select(Delivery).where(Delivery.job_id == job_id)).one()
        images = [image.id for image in jobs.images_of(session, job_id)]
        for id_, guild_id, image_id in (
            (11, HOME, None),
            (12, HOME, images[0]),
            (21, ELSEWHERE, None),
            (31, None, None),
        ):
            message = Message(id=id_, channel_id=900, guild_id=guild_id, job_id=job_id, image_id=image_id)
            deliveries.posted(session, delivery.id, message)
        deliveries.done(session, delivery.id)
    return job_id, images


def _may(database: Database, job_id: int, guild_id: int | None, *images: int) -> bool:
    with database.reading() as session:
        try:
            takedowns.check(session, job_id, guild_id, images)
        except TakenDown:
            return False
        return True


def _left(database: Database, job_id: int) -> list[int]:
    with database.reading() as session:
        return [message.id for message in deliveries.messages_of(session, job_id)]


def test_another_guilds_moderators_decide_about_their_own_messages(database: Database) -> None:
    job_id, _ = _shown(database)
    with database.writing() as session:
        for guild_id in (HOME, ELSEWHERE):
            deliveries.request_again(
                session, Address(OWNER, guild_id, 900), job_id=job_id, once=f"show:{guild_id}"
            )
        reports.report(session, job_id, ELSEWHERE, 3)
        (report,) = reports.undecided(session, ELSEWHERE)
        withheld = reports.withhold(session, report.id, ELSEWHERE, MOD)
        assert withheld is not None
        assert [message.id for message in withheld.messages] == [21]
    assert _left(database, job_id) == [11, 12, 31]
    assert not _may(database, job_id, ELSEWHERE)
    assert _may(database, job_id, HOME)
    assert _may(database, job_id, None), "and to its member"
    with database.writing() as session:
        assert not any(image.withheld for image in jobs.images_of(session, job_id))
        taken = deliveries.take(session, 10, 1000)
        assert [(each.guild_id, each.state) for each in taken] == [(HOME, "open"), (ELSEWHERE, "withdrawn")]


def test_a_job_that_runs_elsewhere_is_not_stopped(database: Database) -> None:
    job_id = asking.submit(database, guild_id=HOME)
    with database.writing() as session:
        reports.report(session, job_id, ELSEWHERE, 3)
        (report,) = reports.undecided(session, ELSEWHERE)
        reports.withhold(session, report.id, ELSEWHERE, MOD)
        assert jobs.get(session, job_id).state == JobState.QUEUED


def test_one_picture_goes_with_the_grids_that_show_it(database: Database) -> None:
    job_id, images = _shown(database)
    with database.writing() as session:
        gone = takedowns.take_down(session, job_id, HOME, MOD, images[1])
        assert [message.id for message in gone] == [11], "12 shows another picture alone"
    assert not _may(database, job_id, HOME, images[1])
    assert not _may(database, job_id, HOME), "a grid would show it"
    assert _may(database, job_id, HOME, images[0])


def test_a_takedown_is_taken_back_once_and_noted(database: Database) -> None:
    job_id, _ = _shown(database)
    with database.writing() as session:
        takedowns.take_down(session, job_id, HOME, MOD)
        takedowns.take_down(session, job_id, ELSEWHERE, MOD)
    with database.writing() as session:
        assert takedowns.restore(session, job_id, HOME, MOD)
    with database.writing() as session:
        assert not takedowns.restore(session, job_id, HOME, MOD)
        assert not takedowns.restore(session, 404, HOME, MOD)
        assert [entry.action for entry in moderation.entries(session, HOME)] == ["restore"]
        assert moderation.verify_chain(session) == []
    assert _may(database, job_id, HOME)
    assert not _may(database, job_id, ELSEWHERE)


def test_what_was_withheld_before_is_the_guilds_takedown(database: Database) -> None:
    job_id, _ = _shown(database)
    with database.writing() as session:
        for reporter in (2, 3):
            reports.report(session, job_id, ELSEWHERE, reporter)
        reports.report(session, job_id, HOME, 2)
        reports.withhold(session, reports.undecided(session, ELSEWHERE)[0].id, ELSEWHERE, MOD)
        reports.dismiss(session, reports.undecided(session, HOME)[0].id, HOME, MOD)
    config = module._alembic()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004-1")
    database.upgrade()
    with database.reading() as session:
        found = session.execute(
            text("SELECT guild_id, job_id, image_id, decided_by, lifted_at FROM takedowns")
        )
        assert [tuple(row) for row in found] == [(ELSEWHERE, job_id, None, MOD, None)]


def test_what_the_operator_withheld_before_is_taken_down_everywhere(database: Database) -> None:
    job_id, _ = _shown(database)
    config = module._alembic()
    with database.writing() as session:
        takedowns.take_down(session, job_id, HOME, MOD)
        moderation.audit(session, guild_id=HOME, actor_id=OPERATOR, action="withhold", job_id=job_id)
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0006")
    database.upgrade()
    with database.reading() as session:
        found = session.scalars(select(Takedown).order_by(Takedown.id))
        assert [(one.guild_id, one.decided_by) for one in found] == [(HOME, MOD), (EVERYWHERE, OPERATOR)]
    assert not _may(database, job_id, None)
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0006")
    with database.reading() as session:
        assert session.scalars(text("SELECT guild_id FROM takedowns")).all() == [HOME]
        assert all(session.scalars(select(Image.withheld))), "as it was withheld then"
    database.upgrade()


def test_everywhere_is_every_guild_and_direct_messages(database: Database) -> None:
    job_id, images = _shown(database)
    with database.writing() as session:
        gone = takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)
        assert [message.id for message in gone] == [11, 12, 21, 31]
    for guild_id in (HOME, ELSEWHERE, None):
        assert not _may(database, job_id, guild_id)
        assert not _may(database, job_id, guild_id, images[0])
    with database.writing() as session:
        assert not takedowns.restore(session, job_id, HOME, MOD), "it is the operator's to restore"
        assert takedowns.restore(session, job_id, EVERYWHERE, OPERATOR)
    assert _may(database, job_id, None)


def test_a_grid_of_which_another_picture_is_left_stays(database: Database) -> None:
    """Its message shows that one alone by now."""
    job_id, images = _shown(database)
    with database.writing() as session:
        delivery = session.scalars(select(Delivery).where(Delivery.job_id == job_id)).one()
        delivery.message_id = 12
        takedowns.take_down(session, job_id, HOME, MOD, images[1])
        assert delivery.state == "done"
        takedowns.take_down(session, job_id, HOME, MOD, images[0])
        assert delivery.state == "withdrawn"


@pytest.mark.parametrize("guild_id", [HOME, ELSEWHERE])
def test_nobody_decides_twice(database: Database, guild_id: int) -> None:
    job_id, _ = _shown(database)
    with database.writing() as session:
        reports.report(session, job_id, guild_id, 3)
        (report,) = reports.undecided(session, guild_id)
        assert reports.withhold(session, report.id, 404, MOD) is None
        assert reports.withhold(session, report.id, guild_id, MOD) is not None
        assert reports.withhold(session, report.id, guild_id, MOD) is None
