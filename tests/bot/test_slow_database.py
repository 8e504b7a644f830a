"""A database that is slow to commit: Discord hears within three seconds all the same."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from bot.views import answering
from storage import moderation
from tests.bot.discord_server import interactions
from tests.bot.discord_server.interactions import ANSWER_WITHIN_S, DEFERRED_MESSAGE, DEFERRED_UPDATE
from tests.bot.studio import Studio

PATIENCE = answering.PATIENCE
SLOW_S = PATIENCE + 0.7


@pytest.fixture(autouse=True)
def hurried(unhurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PATIENCE", PATIENCE)
    monkeypatch.setattr(interactions, "ANSWER_WITHIN_S", ANSWER_WITHIN_S)


@contextmanager
def slow_to_write(studio: Studio) -> Iterator[None]:
    """Nobody else can write for SLOW_S seconds."""
    begun = threading.Event()

    def hold() -> None:
        file = studio.config.database.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            begun.set()
            released.wait(SLOW_S)
            connection.execute("ROLLBACK")

    released = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait()
    try:
        yield
    finally:
        holder.join()


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
