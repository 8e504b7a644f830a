"""Takedowns reach what is posted and not yet noted, whatever dies in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from bot.delivery import withdrawals
from bot.delivery.attempt import UNFORESEEN_TRIES
from storage import removals, tables, takedowns
from storage.tables import Delivery
from storage.takedowns import EVERYWHERE, OPERATOR
from tests.bot import drawing
from tests.bot.discord_server.faults import missing_permissions, unknown_channel
from tests.bot.discord_server.world import READ_MESSAGE_HISTORY
from tests.bot.processes import Processes
from tests.bot.studio import PROMPT, Studio

DELETE = ("DELETE", "/channels/{channel_id}/messages/{message_id}")
POST = ("POST", "/channels/{channel_id}/messages")
HIDDEN = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"


def withhold(session: Session, job_id: int) -> list[tables.Message]:
    return takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)


WAYS = [withhold, removals.remove]


def take_down(studio: Studio, job_id: int, how: Callable[..., Any]) -> None:
    with studio.backends.database.writing() as session:
        how(session, job_id)
    if how is removals.remove:
        studio.backends.images.delete_job(job_id)


def nothing_is_shown(studio: Studio) -> None:
    (row,) = studio.settled()
    assert (row.state, row.error) == ("given_up", "the pictures were taken away")
    assert row.interaction_token is None
    assert studio.channel.messages == {}, "neither pictures nor progress"


@pytest.mark.parametrize("how", WAYS)
def test_a_message_whose_answer_was_cut(studio: Studio, how: Callable[..., Any]) -> None:
    studio.channel.nonce_memory_s = 0
    studio.imagine()
    studio.server.faults.add(*POST, cut=True)
    job = drawing.draw(studio.backends)
    studio.picture()
    take_down(studio, job.id, how)
    nothing_is_shown(studio)
    assert len(studio.server.posts()) == 1


def test_a_message_in_a_channel_whose_history_may_not_be_read(studio: Studio) -> None:
    """Discord tells which it is by its nonce."""
    studio.imagine()
    studio.channel.bot_permissions &= ~READ_MESSAGE_HISTORY
    studio.server.faults.add(*POST, cut=True)
    job = drawing.draw(studio.backends)
    studio.picture()
    take_down(studio, job.id, withhold)
    nothing_is_shown(studio)


@pytest.mark.parametrize("how", WAYS)
def test_a_message_that_is_just_being_posted(studio: Studio, how: Callable[..., Any]) -> None:
    studio.imagine()
    answer = threading.Event()
    studio.server.faults.add(*POST, hold=answer)
    job = drawing.draw(studio.backends)
    studio.picture()
    take_down(studio, job.id, how)
    answer.set()
    nothing_is_shown(studio)


def test_a_message_of_a_bot_that_was_killed(studio_apart: Studio, processes: Processes) -> None:
    studio = studio_apart
    studio.channel.nonce_memory_s = 0
    bot = processes.start_bot()
    studio.imagine()
    never = threading.Event()
    studio.server.faults.add(*POST, hold=never)
    job = drawing.draw(studio.backends)
    studio.picture()
    processes.kill(bot)
    never.set()
    take_down(studio, job.id, withhold)
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(due_at=0))  # its hold is over
    processes.start_bot()
    nothing_is_shown(studio)


@pytest.mark.parametrize("how", WAYS)
def test_what_was_not_posted_yet_never_is(studio: Studio, how: Callable[..., Any]) -> None:
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.stop_bot()
    job = drawing.finish(studio.backends, taken)
    take_down(studio, job.id, how)
    studio.start_bot()
    nothing_is_shown(studio)
    assert studio.server.posts() == []


@pytest.mark.parametrize("how", WAYS)
def test_an_edit_of_the_answer(studio: Studio, how: Callable[..., Any]) -> None:
    studio.imagine(prompt=f"{PROMPT} --stealth")
    answer = threading.Event()
    edited = studio.server.faults.add("PATCH", HIDDEN, hold=answer)
    job = drawing.draw(studio.backends)
    studio.wait(lambda: edited.met)
    take_down(studio, job.id, how)
    answer.set()
    nothing_is_shown(studio)


def test_one_picture_of_several(studio: Studio) -> None:
    """What shows the others stays."""
    grid = studio.grid()
    (job_id,) = {row.job_id for row in studio.deliveries()}
    images = drawing.images(studio.backends, job_id)
    studio.channel.nonce_memory_s = 0
    studio.server.faults.add(*POST, cut=True)
    studio.server.press(studio.bob, grid, "U2")
    studio.picture(2)
    with studio.backends.database.writing() as session:
        assert removals.remove(session, job_id, images[1].id).messages == []
    studio.settled()
    assert studio.channel.shown() == [grid]


def test_what_the_operator_withholds_is_deleted_wherever_it_was_posted(studio: Studio) -> None:
    grid = studio.grid()
    other = studio.server.guild("another", studio.ada).channel("shown")
    job_id = studio.deliveries()[0].job_id
    studio.server.press(studio.ada, grid, "U1")
    studio.picture(2)
    studio.server.slash(studio.ada, other, "show", job_id=job_id)
    studio.picture(channel=other)
    studio.settled()
    with studio.backends.database.writing() as session:
        assert len(withhold(session, job_id)) == 3
    studio.wait(lambda: not studio.pictures() and not studio.pictures(other), what="no picture anywhere")


def in_the_guild(studio: Studio) -> Callable[..., Any]:
    return lambda session, job_id: takedowns.take_down(session, job_id, studio.guild.id, 99)


@pytest.mark.parametrize("where", ["guild", "everywhere", "removed"])
def test_whoever_took_it_down_may_die_before_its_messages_are_deleted(studio: Studio, where: str) -> None:
    """And Discord may refuse for as long as a permission is missing."""
    studio.grid()
    job_id = studio.deliveries()[0].job_id
    refusal = studio.server.faults.add(*DELETE, refusal=missing_permissions())
    ways: dict[str, Callable[..., Any]] = {
        "guild": in_the_guild(studio),
        "everywhere": withhold,
        "removed": removals.remove,
    }
    take_down(studio, job_id, ways[where])
    studio.wait(lambda: refusal.met, what="a refusal")
    studio.wait(lambda: studio.deliveries()[0].error, what="a pause")
    assert studio.deliveries()[0].state == "withdrawn"
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(due_at=0))
    studio.settled()
    assert studio.pictures() == []


def test_a_message_that_nobody_lets_go_is_tried_for_a_day(studio: Studio) -> None:
    studio.grid()
    studio.server.faults.add(*DELETE, refusal=missing_permissions(), times=1000)
    take_down(studio, studio.deliveries()[0].job_id, in_the_guild(studio))
    studio.wait(lambda: studio.deliveries()[0].error, what="a pause")
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(due_at=0, tries=withdrawals.HELD_UP_TRIES))
    (row,) = studio.settled()
    assert row.state == "given_up"


def test_a_message_in_a_channel_that_is_gone_is_gone(studio: Studio) -> None:
    studio.grid()
    studio.server.faults.add(*DELETE, refusal=unknown_channel(), times=1000)
    take_down(studio, studio.deliveries()[0].job_id, withhold)
    studio.wait(lambda: studio.deliveries()[0].state == "given_up", what="the end of it")


def test_what_was_given_up_is_perhaps_posted(studio: Studio) -> None:
    """Nobody could see whether it was, and now somebody can."""
    studio.channel.nonce_memory_s = 0
    studio.imagine()
    studio.server.faults.add(*POST, cut=True)
    job = drawing.draw(studio.backends)
    studio.picture()
    studio.stop_bot()
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(state="given_up", interaction_token=None))
    take_down(studio, job.id, withhold)
    studio.start_bot()
    studio.settled()
    assert studio.pictures() == []


def test_errors_that_nobody_foresaw_end_a_withdrawal(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.channel.nonce_memory_s = 0
    studio.imagine()

    def broken(*_: object) -> frozenset[str]:
        raise ValueError("torn")

    monkeypatch.setattr(withdrawals, "_custom_ids", broken)
    studio.server.faults.add(*POST, cut=True)
    job = drawing.draw(studio.backends)
    studio.picture()
    studio.stop_bot()
    take_down(studio, job.id, withhold)
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(failures=UNFORESEEN_TRIES + 1, due_at=0))
    studio.start_bot()
    (row,) = studio.settled()
    assert (row.state, row.error) == ("given_up", "ValueError: torn")
