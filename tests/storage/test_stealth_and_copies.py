"""Who may see a job, where its deliveries go, and how it goes on with a fresh token."""

from __future__ import annotations

from typing import Any

import pytest

from storage import attempts, deliveries, jobs, members, states
from storage.contract import Action, JobState
from storage.database import Database
from storage.errors import NotYours
from storage.tables import Address, Delivery, Job
from tests.storage import asking

TOKEN: dict[str, Any] = {"interaction_token": "secret", "token_expires_at": 2**50}


def _rows(database: Database) -> list[Delivery]:
    with database.reading() as session:
        return session.query(Delivery).order_by(Delivery.id).all()


def _turn_on(database: Database, member_id: int = 1) -> None:
    with database.writing() as session:
        members.change_settings(session, member_id, auto_dm=True)


@pytest.mark.parametrize(
    ("place", "stealth", "ephemeral", "by_token_alone"),
    [
        ({"guild_id": 5}, False, False, False),
        ({"guild_id": 5}, True, True, True),
        ({"guild_id": 5, "user_install": True}, False, False, True),
        ({"guild_id": 5, "user_install": True}, True, True, True),
        ({"guild_id": None, "user_install": True}, True, True, True),
        ({"guild_id": None}, True, False, False),
    ],
)
def test_stealth_is_ephemeral_except_in_ones_own_direct_messages(
    database: Database, place: dict[str, Any], stealth: bool, ephemeral: bool, by_token_alone: bool
) -> None:
    job_id = asking.made(database, stealth=stealth, **place)
    job, (row,) = asking.get(database, job_id), _rows(database)
    assert (job.ephemeral, job.by_token_alone) == (ephemeral, by_token_alone)
    assert (row.ephemeral, row.by_token_alone) == (ephemeral, by_token_alone)
    with database.writing() as session:
        image_id = jobs.images_of(session, job_id)[0].id
        address = Address(1, channel_id=1, **place)
        single = deliveries.request_single(session, address, image_id=image_id, once="press")
        again = deliveries.request_again(session, address, job_id=job_id, once="again")
        assert single.ephemeral is again.ephemeral is ephemeral


def test_nobody_else_sees_a_stealth_job(database: Database) -> None:
    hidden, shown = asking.made(database, stealth=True), asking.made(database)
    with database.reading() as session:
        image_id = jobs.images_of(session, hidden)[0].id
        assert jobs.seen(session, hidden, 1).id == hidden
        assert jobs.seen_image(session, image_id, 1)[1].id == hidden
        assert jobs.seen(session, shown, 2).id == shown
        with pytest.raises(NotYours):
            jobs.seen(session, hidden, 2)
        with pytest.raises(NotYours):
            jobs.seen_image(session, image_id, 2)


def test_direct_messages_are_not_for_one_member_alone_by_a_flag(database: Database) -> None:
    asking.made(database, stealth=True, guild_id=5, **TOKEN)
    (row,) = _rows(database)
    with database.writing() as session:
        deliveries.redirect(session, row.id, 77)
    (row,) = _rows(database)
    assert (row.channel_id, row.ephemeral, row.interaction_token) == (77, False, None)


@pytest.mark.parametrize("place", [{"guild_id": 5}, {"guild_id": None, "user_install": True}])
def test_a_copy_is_written_where_it_is_wished(database: Database, place: dict[str, Any]) -> None:
    asking.submit(database, 2)
    _turn_on(database, 1)
    job_id = asking.submit(database, 1, **place, **TOKEN)
    worker_id = asking.worker(database)
    for _ in range(2):
        asking.finish(database, asking.must_claim(database, worker_id))
    result, copy = [row for row in _rows(database) if row.job_id == job_id]
    assert (result.kind, copy.kind) == (deliveries.RESULT, deliveries.DIRECT)
    assert (copy.member_id, copy.guild_id, copy.channel_id, copy.user_install) == (1, None, None, False)
    with database.reading() as session:
        assert deliveries.has_copy(session, job_id)
        assert not deliveries.has_copy(session, job_id - 1)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.WITHHELD])
def test_only_pictures_are_copied(database: Database, state: JobState) -> None:
    _turn_on(database)
    asking.submit(database, guild_id=5)
    asking.end(database, asking.must_claim(database, asking.worker(database)), state)
    assert [row.kind for row in _rows(database)] == [deliveries.RESULT]


def test_words_are_not_copied(database: Database) -> None:
    _turn_on(database)
    asking.submit(database, guild_id=5)
    claimed = asking.must_claim(database, asking.worker(database))
    with database.writing() as session:
        attempts.finish(session, claimed.job_id, claimed.attempt, [], {}, {"prompts": ["a castle"]})
    assert [row.kind for row in _rows(database)] == [deliveries.RESULT]


def test_pictures_that_come_with_words_are_copied(database: Database) -> None:
    """A blend's, for one."""
    _turn_on(database)
    asking.submit(database, guild_id=5, action=Action.BLEND)
    claimed = asking.must_claim(database, asking.worker(database))
    with database.writing() as session:
        attempts.finish(
            session, claimed.job_id, claimed.attempt, asking.pictures(), {}, {"prompts": ["a", "b"]}
        )
    assert [row.kind for row in _rows(database)] == [deliveries.RESULT, deliveries.DIRECT]


def test_what_is_asked_in_direct_messages_is_not_copied(database: Database) -> None:
    _turn_on(database)
    asking.made(database)
    assert [row.kind for row in _rows(database)] == [deliveries.RESULT]


def test_a_copys_channel_is_found_later(database: Database) -> None:
    _turn_on(database)
    asking.made(database, guild_id=5, **TOKEN)
    copy = _rows(database)[1]
    with database.writing() as session:
        deliveries.set_channel(session, copy.id, 77)
    assert _rows(database)[1].channel_id == 77
    with database.writing() as session:
        deliveries.give_up(session, copy.id, "closed")
        deliveries.set_channel(session, copy.id, 78)
    copy = _rows(database)[1]
    assert (copy.state, copy.channel_id, copy.interaction_token) == ("given_up", 77, None)


def test_a_fresh_token_is_for_the_result_too(database: Database) -> None:
    job_id = asking.submit(database, guild_id=5, user_install=True)
    claimed = asking.must_claim(database, asking.worker(database))
    _take_up(database, job_id)
    asking.finish(database, claimed)
    (row,) = _rows(database)
    assert (row.interaction_token, row.token_expires_at) == ("fresh", 2**51)


def test_a_finished_job_takes_no_token(database: Database) -> None:
    job_id = asking.made(database, guild_id=5, user_install=True)
    job = _take_up(database, job_id)
    assert job.state == JobState.SUCCEEDED
    assert asking.get(database, job_id).interaction_token is None


def _take_up(database: Database, job_id: int) -> Job:
    fresh = Address(1, interaction_token="fresh", token_expires_at=2**51)
    with database.writing() as session:
        return states.resume(session, job_id, 9, fresh)
