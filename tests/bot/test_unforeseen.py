"""What nobody foresaw, and a database that is away: bounded, told, and logged in few lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bot import database_outage
from bot.database_outage import Outage
from bot.delivery import at_most_once, attempt, content, progress, worker
from bot.delivery.progress import ProgressBoard
from storage.database import Database
from tests.bot import drawing
from tests.bot.studio import Studio

AWAY = OperationalError("SELECT secret", {"text": "secret"}, Exception("server closed\nthe connection"))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FIRST_DELAY_MS", 10)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("left", [0, 60], ids=["empty", "torn"])
def test_a_torn_file_is_told(studio: Studio, left: int) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.stop_bot()
    job = drawing.finish(studio.backends, taken)
    for image in drawing.images(studio.backends, job.id):
        path = studio.backends.images.folder / image.key
        path.write_bytes(path.read_bytes()[:left])
    studio.start_bot()
    (row,) = studio.settled()
    assert (row.state, row.failures) == ("done", attempt.UNFORESEEN_TRIES)
    (message,) = studio.channel.shown()
    assert "cannot be shown" in message.content
    assert f"Job {job.id}" in message.content
    assert message.pinged == {studio.ada.id}
    assert interaction.original is not None


@pytest.mark.usefixtures("soon")
def test_what_passes_is_not_told(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    real = content.pictures

    def hiccup(*arguments: Any) -> Any:
        tries.append(1)
        if len(tries) < attempt.UNFORESEEN_TRIES:
            raise ValueError("a hiccup")
        return real(*arguments)

    monkeypatch.setattr(content, "pictures", hiccup)
    studio.imagine()
    drawing.draw(studio.backends)
    studio.picture()
    (row,) = studio.settled()
    assert row.state == "done"


@pytest.mark.usefixtures("soon")
def test_what_never_passes_ends(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("broken for good")

    monkeypatch.setattr(at_most_once.AtMostOncePost, "_send", broken)
    studio.imagine()
    drawing.draw(studio.backends)
    (row,) = studio.settled()
    assert (row.state, row.error) == ("given_up", "ValueError: broken for good")
    assert row.failures == attempt.UNFORESEEN_TRIES + 1


def test_what_is_noted_of_progress_survives_the_database(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.stop_bot()
    board = ProgressBoard(None, studio.backends)  # type: ignore[arg-type]
    done: list[int] = []
    for number in (1, 2):
        board._later(lambda _, number: done.append(number), number)
    board._later(lambda _, number: 1 // number, 0)
    board._later(lambda _, number: done.append(number), 3)
    with away(monkeypatch):
        for _ in range(2):
            with pytest.raises(OperationalError):
                board._write_changes()
    board._write_changes()
    assert done == [1, 2, 3]
    assert not board._changes


@contextmanager
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database that answers nobody."""

    def refuse(_: Database) -> Any:
        raise AWAY

    with monkeypatch.context() as patch:
        for how in ("reading", "writing"):
            patch.setattr(Database, how, refuse)
        yield


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the bot is started, which looks at these when it goes to sleep."""
    monkeypatch.setattr(database_outage, "FIRST_S", 0.05)
    monkeypatch.setattr(database_outage, "LONGEST_S", 0.2)
    monkeypatch.setattr(progress, "SWEEP_S", 0.1)


def test_a_database_that_is_away_is_one_line_a_try(
    quick: None, studio: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    studio.imagine()
    with away(monkeypatch):
        polls = ("delivery", "progress")
        studio.wait(lambda: all(sum(said(caplog, name)) >= 3 for name in polls), what="three tries each")
    studio.wait(lambda: "delivery: the database answers again" in caplog.text)
    drawing.draw(studio.backends)
    studio.picture()
    studio.settled()
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert all(record.exc_info is None for record in lines)
    assert all("\n" not in record.getMessage() for record in lines)
    assert "secret" not in caplog.text


def said(caplog: pytest.LogCaptureFixture, name: str) -> list[bool]:
    return [record.getMessage().startswith(f"{name}: the database does not") for record in caplog.records]


def test_the_waits_grow_to_a_bound_and_begin_anew() -> None:
    outage = Outage("a poll")

    def wait_after(error: Exception | None) -> float:
        with outage.turn():
            if error is not None:
                raise error
        return outage.wait_s

    assert [wait_after(AWAY) for _ in range(8)] == [1, 2, 4, 8, 15, 15, 15, 15]
    assert wait_after(None) == 0
    assert wait_after(AWAY) == 1
