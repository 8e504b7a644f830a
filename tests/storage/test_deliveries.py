"""What must reach a member."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import func, select, update

from storage import deliveries, jobs, moderation, states, takedowns
from storage.contract import Action
from storage.database import Database, now
from storage.errors import Banned, NoSuchImage, Stale
from storage.tables import TOKEN_MS, Address, Delivery, Image, Message
from storage.takedowns import EVERYWHERE, OPERATOR
from tests.storage import asking


def _cancelled(database: Database, member_id: int = 1, **changes: object) -> int:
    """A job whose end must be told."""
    job_id = asking.submit(database, member_id, **changes)
    with database.writing() as session:
        states.cancel(session, job_id)
    return job_id


def _take(database: Database, limit: int = 10, hold_ms: int = 60_000) -> list[Delivery]:
    with database.writing() as session:
        return deliveries.take(session, limit, hold_ms)


def _get(database: Database, delivery_id: int) -> Delivery:
    with database.reading() as session:
        return deliveries.get(session, delivery_id)


def _single(
    database: Database,
    image_id: int,
    member_id: int = 1,
    *,
    once: str = "press:1",
    guild_id: int | None = None,
    token_expires_at: int = 900_000,
) -> Delivery:
    address = Address(member_id, guild_id, 900, token_expires_at=token_expires_at)
    with database.writing() as session:
        return deliveries.request_single(session, address, image_id=image_id, once=once)


def _images(database: Database, job_id: int) -> list[Image]:
    with database.reading() as session:
        return jobs.images_of(session, job_id)


def test_a_delivery_is_taken_by_one_bot_at_a_time(database: Database) -> None:
    _cancelled(database)
    (taken,) = _take(database)
    assert taken.tries == 1
    assert _take(database) == []
    with database.writing() as session:
        session.execute(update(Delivery).values(due_at=now(session)))
    (again,) = _take(database)
    assert (again.id, again.tries) == (taken.id, 2)
    with pytest.raises(Stale), database.writing() as session:
        deliveries.attempt(session, taken.id, tries=taken.tries)
    with database.writing() as session:
        deliveries.attempt(session, again.id, tries=again.tries)


def test_the_oldest_are_taken_first(database: Database) -> None:
    made = [_cancelled(database, member_id) for member_id in (1, 2, 3)]
    assert [delivery.job_id for delivery in _take(database, limit=2)] == made[:2]
    assert [delivery.job_id for delivery in _take(database)] == made[2:]


def test_what_was_attempted_is_known_to_the_next_bot(database: Database) -> None:
    _cancelled(database)
    (taken,) = _take(database, hold_ms=0)
    with database.writing() as session:
        deliveries.attempt(session, taken.id)
    first = _get(database, taken.id).attempted_at
    assert first is not None
    (again,) = _take(database)
    assert again.attempted_at == first
    with database.writing() as session:
        session.execute(update(Delivery).values(attempted_at=first - 1_000))
        deliveries.attempt(session, again.id)
    assert _get(database, taken.id).attempted_at == first - 1_000


def test_done_closes_it_and_keeps_the_message(database: Database) -> None:
    job_id = _cancelled(database, interaction_token="secret")
    (taken,) = _take(database, hold_ms=0)
    assert taken.interaction_token == "secret"
    for _ in range(2):
        with database.writing() as session:
            deliveries.posted(session, taken.id, Message(id=2**62, channel_id=900, job_id=job_id))
            deliveries.done(session, taken.id)
    closed = _get(database, taken.id)
    assert (closed.state, closed.message_id, closed.interaction_token) == ("done", 2**62, None)
    assert asking.get(database, job_id).interaction_token is None
    assert _take(database) == []
    with pytest.raises(Stale), database.writing() as session:
        deliveries.attempt(session, taken.id)
    with database.writing() as session:
        found = deliveries.shown(session, 2**62)
        assert found is not None
        assert found.job_id == job_id
        assert deliveries.shown(session, 1) is None
        assert [message.id for message in deliveries.messages_of(session, job_id)] == [2**62]


def test_later_waits_and_says_why(database: Database) -> None:
    _cancelled(database)
    (taken,) = _take(database)
    with database.writing() as session:
        deliveries.attempt(session, taken.id)
        deliveries.later(session, taken.id, "503 from Discord", 0)
    waiting = _get(database, taken.id)
    assert (waiting.state, waiting.error) == ("open", "503 from Discord")
    assert waiting.attempted_at is not None
    (again,) = _take(database)
    with database.writing() as session:
        deliveries.later(session, again.id, "429: refused", 3_600_000, refused=True)
    assert _get(database, taken.id).attempted_at is None
    assert _take(database) == []


def test_given_up_is_closed(database: Database) -> None:
    _cancelled(database)
    (taken,) = _take(database, hold_ms=0)
    with database.writing() as session:
        deliveries.give_up(session, taken.id, "the channel is gone")
        deliveries.later(session, taken.id, "too late", 0)
    closed = _get(database, taken.id)
    assert (closed.state, closed.error) == ("given_up", "the channel is gone")
    assert _take(database) == []


def _posted(database: Database, delivery: Delivery, message_id: int = 2**62) -> str:
    message = Message(id=message_id, channel_id=900, job_id=delivery.job_id)
    with database.writing() as session:
        return deliveries.posted(session, delivery.id, message)


def test_what_is_posted_is_tidied_and_never_posted_again(database: Database) -> None:
    asking.made(database)
    (taken,) = _take(database, hold_ms=0)
    with database.writing() as session:
        deliveries.attempt(session, taken.id, deliveries.TOKEN, tries=taken.tries)
    assert _posted(database, taken) == "posted"
    for refused in (False, True):
        (again,) = _take(database, hold_ms=0)
        assert (again.state, again.message_id) == ("posted", 2**62)
        with pytest.raises(Stale), database.writing() as session:
            deliveries.attempt(session, again.id, tries=again.tries)
        with database.writing() as session:
            deliveries.later(session, again.id, "502", 0, refused=refused)
            deliveries.redirect(session, again.id, 1)
        kept = _get(database, taken.id)
        assert kept.attempted_at is not None
        assert (kept.attempted_by, kept.channel_id) == (deliveries.TOKEN, 900)


def test_tidying_counts_its_tries_anew(database: Database) -> None:
    asking.made(database)
    for _ in range(5):
        (taken,) = _take(database, hold_ms=0)
    assert taken.tries == 5
    _posted(database, taken)
    (taken,) = _take(database, hold_ms=0)
    assert taken.tries == 1


@pytest.mark.parametrize("when", ["before", "attempted", "posted"])
def test_what_is_taken_down_is_withdrawn_and_nothing_closes_it_but_that(
    database: Database, when: str
) -> None:
    job_id = asking.made(database, interaction_token="secret")
    (taken,) = _take(database, hold_ms=300_000)
    with database.writing() as session:
        if when != "before":
            deliveries.attempt(session, taken.id)
    if when == "posted":
        _posted(database, taken)
    with database.writing() as session:
        takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)
        soon = now(session) + deliveries.HOLD_MS
    with database.writing() as session:
        deliveries.done(session, taken.id)
        deliveries.give_up(session, taken.id, "no")
        deliveries.later(session, taken.id, "503", 0)
    row = _get(database, taken.id)
    assert (row.state, row.interaction_token) == ("withdrawn", "secret")
    with pytest.raises(Stale), database.writing() as session:
        deliveries.attempt(session, taken.id)
    assert _posted(database, taken) == "withdrawn", "it was under way: its message is noted, to be deleted"
    assert _get(database, taken.id).due_at <= soon
    (again,) = _take(database)
    assert again.message_id == 2**62
    with database.writing() as session:
        deliveries.withdrawn(session, taken.id)
    row = _get(database, taken.id)
    assert (row.state, row.interaction_token) == ("given_up", None)


def test_who_holds_what_is_taken_down_keeps_it_while_they_live(database: Database) -> None:
    job_id = asking.made(database)
    (taken,) = _take(database)
    with database.writing() as session:
        takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)
    assert _take(database) == []
    assert _get(database, taken.id).due_at - taken.due_at < 0, "but not for as long as a delay may be"
    with database.writing() as session:
        deliveries.hold(session, [taken.id], 60_000)
    assert _get(database, taken.id).due_at >= taken.due_at


def test_a_job_without_pictures_is_withdrawn_too_for_its_preview(database: Database) -> None:
    job_id = _cancelled(database)
    with database.writing() as session:
        takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)
    assert [row.state for row in _take(database)] == ["withdrawn"]


@pytest.mark.parametrize("noted", [False, True])
def test_what_was_given_up_and_is_perhaps_there_is_withdrawn(database: Database, noted: bool) -> None:
    job_id = asking.made(database)
    (taken,) = _take(database)
    with database.writing() as session:
        deliveries.attempt(session, taken.id)
    if noted:
        _posted(database, taken)
    with database.writing() as session:
        deliveries.give_up(session, taken.id, "perhaps posted")
    with database.writing() as session:
        takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)
    assert _get(database, taken.id).state == "withdrawn"


def test_what_was_given_up_before_it_was_sent_stays_so(database: Database) -> None:
    job_id = asking.made(database)
    (taken,) = _take(database)
    with database.writing() as session:
        deliveries.give_up(session, taken.id, "no place")
        takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)
    assert _get(database, taken.id).state == "given_up"


def test_errors_that_nobody_foresaw_are_counted(database: Database) -> None:
    asking.made(database)
    (taken,) = _take(database)
    with database.writing() as session:
        deliveries.failed(session, taken.id, "ValueError: torn", 0)
    (again,) = _take(database)
    assert (again.failures, again.error) == (1, "ValueError: torn")


def test_a_token_ends_by_the_databases_clock(database: Database) -> None:
    job_id = asking.made(database)
    with database.writing() as session:
        at = now(session)
        heard = Address(1, channel_id=900, heard=time.monotonic() - 5)
        delivery = deliveries.request_again(session, heard, job_id=job_id, once="again:1")
    assert delivery.token_expires_at is not None
    assert abs(delivery.token_expires_at - at - (TOKEN_MS - 5_000)) < 2_000


def test_a_picture_is_asked_for_once_a_press(database: Database) -> None:
    images = _images(database, asking.made(database))
    first = _single(database, images[1].id, 2, once="press:1")
    assert _single(database, images[1].id, 2, once="press:1").id == first.id
    assert _single(database, images[1].id, 2, once="press:2").id == first.id
    assert _single(database, images[1].id, 3, once="press:3").id != first.id
    assert _single(database, images[2].id, 2, once="press:4").id != first.id
    for moment, same in ((902_999, True), (903_000, False)):
        later = _single(database, images[1].id, 2, once=f"press:{moment}", token_expires_at=moment)
        assert (later.id == first.id) is same
    assert _single(database, images[1].id, 2, once="press:1", token_expires_at=999_999).id == first.id
    assert (first.kind, first.image_id, first.job_id) == ("single", images[1].id, images[1].job_id)


def test_what_may_not_be_shown_is_refused(database: Database) -> None:
    kept, gone, shown, _ = _images(database, asking.made(database))
    with database.writing() as session:
        session.execute(update(Image).where(Image.id == kept.id).values(withheld=True))
        session.execute(update(Image).where(Image.id == gone.id).values(deleted_at=1))
        moderation.ban(session, member_id=5, guild_id=50, by=9, reason="spam", expires_at=None)
    for image_id in (kept.id, gone.id, 404):
        with pytest.raises(NoSuchImage):
            _single(database, image_id)
    with pytest.raises(Banned):
        _single(database, shown.id, 5, guild_id=50)
    with database.reading() as session:
        assert session.scalar(select(func.count(Delivery.id)).where(Delivery.kind == "single")) == 0


def test_used_buttons(database: Database) -> None:
    job_id = asking.made(database)
    images = _images(database, job_id)
    with database.reading() as session:
        assert deliveries.used(session, job_id) == deliveries.Used()
    _single(database, images[0].id, 2, once="press:1")
    _single(database, images[3].id, 3, once="press:2")
    asking.submit(
        database, 2, action=Action.VARY, parent_job_id=job_id, parent_image_id=images[2].id, parent_index=2
    )
    of_one = {"parent_job_id": job_id, "parent_image_id": images[0].id, "parent_index": 0}
    asking.submit(database, 2, action=Action.VARY_SUBTLE, **of_one)
    asking.submit(database, 3, action=Action.UPSCALE_2X, **of_one)
    with database.reading() as session:
        used = deliveries.used(session, job_id)
        made = {(Action.VARY, 2), (Action.VARY_SUBTLE, 0), (Action.UPSCALE_2X, 0)}
        assert used == deliveries.Used(frozenset({0, 3}), frozenset(made))
        assert [index for index in range(4) if used.has(Action.VARY, index)] == [2]
        assert [index for index in range(4) if used.has(None, index)] == [0, 3]
        assert deliveries.used_of_image(session, images[0].id) == {Action.VARY_SUBTLE, Action.UPSCALE_2X}
        assert deliveries.used_of_image(session, images[1].id) == frozenset()
    asking.submit(database, 4, action=Action.REROLL, parent_job_id=job_id)
    with database.reading() as session:
        assert deliveries.used(session, job_id).has(Action.REROLL, None)
