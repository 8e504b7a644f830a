"""A database that is slow to commit: Discord hears within three seconds all the same."""

from __future__ import annotations

import inspect
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.components import responses
from storage import moderation
from storage.database import READERS
from tests.bot.discord_server import Message, User, interactions
from tests.bot.discord_server.interactions import (
    ANSWER_WITHIN_S,
    DEFERRED_MESSAGE,
    DEFERRED_UPDATE,
    Interaction,
)
from tests.bot.studio import Studio

PATIENCE, FORM_PATIENCE = responses.PATIENCE, responses.FORM_PATIENCE
SLOW_S = PATIENCE + 0.7


@pytest.fixture(autouse=True)
def hurried(unhurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "PATIENCE", PATIENCE)
    monkeypatch.setattr(responses, "FORM_PATIENCE", FORM_PATIENCE)
    monkeypatch.setattr(interactions, "ANSWER_WITHIN_S", ANSWER_WITHIN_S)


@contextmanager
def slow_to_write(studio: Studio) -> Iterator[None]:
    """Nobody else can write for SLOW_S seconds."""
    with nobody_writes(studio) as go_on:
        timer = threading.Timer(SLOW_S, go_on.set)
        timer.start()
        yield
        timer.join()


@contextmanager
def nobody_writes(studio: Studio) -> Iterator[threading.Event]:
    """Nobody else can write until the event is set."""
    begun, released = threading.Event(), threading.Event()

    def hold() -> None:
        file = studio.config.database.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            begun.set()
            released.wait(60)
            connection.execute("ROLLBACK")

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait()
    try:
        yield released
    finally:
        released.set()
        holder.join()


@contextmanager
def nobody_reads(studio: Studio) -> Iterator[threading.Event]:
    """Whatever reads for an answer waits until the event is set."""
    released = threading.Event()
    for _ in range(READERS):
        studio.backends.database._readers.submit(released.wait, 60)
    try:
        yield released
    finally:
        released.set()


def test_the_answer_is_deferred_and_then_given(studio: Studio) -> None:
    with slow_to_write(studio):
        interaction = studio.server.slash(studio.ada, studio.channel, "imagine", prompt="a red castle")
        studio.wait(lambda: interaction.answered)
    assert interaction.answer_type == DEFERRED_MESSAGE
    assert interaction.took < ANSWER_WITHIN_S
    original = interaction.original
    assert original is not None
    studio.wait(lambda: "(Waiting to start)" in original.content)
    assert studio.wait(lambda: studio.job_of(interaction).progress_message_id) == original.id


def test_a_late_refusal_is_private(studio: Studio) -> None:
    with studio.backends.database.writing() as session:
        place = {"member_id": studio.ada.id, "guild_id": studio.guild.id}
        moderation.ban(session, **place, by=1, reason="rude words", expires_at=None)
    with slow_to_write(studio):
        interaction = studio.server.slash(studio.ada, studio.channel, "imagine", prompt="a red castle")
    (said,) = studio.wait(lambda: interaction.followups)
    assert said.ephemeral
    assert "rude words" in said.content
    assert studio.channel.shown() == []


def test_a_pressed_button_waits_too(studio: Studio) -> None:
    grid = studio.grid()
    with slow_to_write(studio):
        pressed = studio.server.press(studio.bob, grid, "U2")
        studio.wait(lambda: pressed.answered)
        assert pressed.answer_type == DEFERRED_UPDATE
    single = studio.picture(2)
    assert single.reference == grid.id
    assert f"<@{studio.bob.id}>" in single.content


def test_on_a_busy_bot_all_are_answered_before_any_work_begins(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long one alone would be waited for; what is refused later is said in private."""
    monkeypatch.setattr(responses, "PATIENCE", 20.0)

    def type_(user: User) -> Interaction:
        return studio.server.slash(user, studio.channel, "imagine", prompt="a castle")

    crowd = [User(f"member {number}") for number in range(4 * responses.BUSY)]
    studio.guild.members.extend(crowd)
    banned = crowd[-2:]
    with studio.backends.database.writing() as session:
        for member in banned:
            place = {"member_id": member.id, "guild_id": studio.guild.id}
            moderation.ban(session, **place, by=1, reason="rude words", expires_at=None)
    with nobody_writes(studio) as go_on:
        early = [type_(user) for user in crowd[: responses.BUSY]]
        studio.wait(lambda: studio.backends.database.under_way == responses.BUSY, what="a busy bot")
        late = [type_(user) for user in crowd[responses.BUSY :]]
        studio.wait(lambda: all(each.answered for each in late), what="an answer to all but the first")
        assert {each.answer_type for each in late} == {DEFERRED_MESSAGE}
        assert not any(each.answered for each in early)
        go_on.set()
    for each in [*early, *late[: -len(banned)]]:
        studio.wait(partial(says, each, "(Waiting to start)"), what="the job")
    for each in late[-len(banned) :]:
        (said,) = studio.wait(partial(followups, each), what="the refusal")
        assert said.ephemeral
        assert "rude words" in said.content
        assert each.original is not None
        assert each.original.id not in studio.channel.messages


def says(interaction: Interaction, text: str) -> bool:
    return interaction.original is not None and text in interaction.original.content


def followups(interaction: Interaction) -> list[Message]:
    return interaction.followups


def test_a_form_is_waited_for_longer_than_an_answer(studio: Studio) -> None:
    """Once something else was answered, no form can be opened any more."""
    grid = studio.grid()
    studio.server.slash(studio.ada, studio.channel, "prefer remix")
    with nobody_reads(studio) as go_on:
        pressed = studio.server.press(studio.ada, grid, "V1")
        time.sleep(PATIENCE + 0.2)
        assert not pressed.answered
        go_on.set()
    studio.wait(lambda: pressed.modal, what="the form")


async def test_work_for_an_answer_that_is_too_late_never_begins(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is closed: it is awaited by nobody."""

    async def forgotten(*_: object, **__: object) -> None:
        raise TimeoutError("Discord has forgotten the interaction")

    async def begin() -> None:
        raise AssertionError

    monkeypatch.setattr(responses, "BUSY", 0)
    interaction = SimpleNamespace(
        client=SimpleNamespace(backends=studio.backends),
        response=SimpleNamespace(is_done=lambda: False, defer=forgotten),
    )
    work = begin()
    with pytest.raises(TimeoutError):
        await responses.defer_if_slow(cast("Any", interaction), work)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
