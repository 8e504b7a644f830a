"""A disk that fills up while the bot runs: members are told, the log has a line, and it goes on."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from bot.messages import refusals
from storage import full_disks
from storage.database import Database
from tests.bot import drawing, photos
from tests.bot.pressing import job_rows
from tests.bot.simulated import World, answer

LONG = "a red castle on green hills, " * 60


@contextmanager
def without_room(database: Database) -> Iterator[None]:
    """SQLite itself refuses any page more, with the words that it has for a full disk."""
    engine = database._writer
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute("VACUUM")  # nor is a page left that was given back

    def bound(connection: Any, *_: Any) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def free(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA max_page_count = 4294967294")

    event.listen(engine, "checkout", bound)
    try:
        yield
    finally:
        event.remove(engine, "checkout", bound)
        event.listen(engine, "checkout", free)


async def test_a_member_is_told_of_a_full_database_and_it_goes_on_with_room(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    alice = world.member("alice")
    with without_room(world.backends.database):
        asked = await alice.slash(world.channel, "imagine", prompt=LONG)
        assert answer(asked).content == refusals.disk_full()
        assert answer(asked).ephemeral
    world.forgive()
    assert job_rows(world) == []
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert any("disk is full" in record.getMessage() for record in said)
    assert all(record.exc_info is None for record in said)
    await alice.slash(world.channel, "imagine", prompt=LONG)
    drawing.draw(world.backends)
    await world.picture()


async def test_a_picture_that_finds_no_room_is_told_of(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice = world.member("alice")
    image = ("castle.png", photos.png())
    (world.backends.images.folder / ".incoming" / "full.part").symlink_to("/dev/full")
    with monkeypatch.context() as full:
        full.setattr("storage.images.secrets.token_hex", lambda _: "full")
        asked = await alice.slash(world.channel, "describe", image=image)
        assert answer(asked).content == refusals.disk_full()
    world.forgive()
    assert not any(record.exc_info for record in caplog.records)
    await alice.slash(world.channel, "describe", image=image)
    assert len(job_rows(world)) == 1


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (ValueError("full"), False),
    ],
)
def test_what_is_a_full_disk(error: Exception, full: bool) -> None:
    assert full_disks.is_full(error) is full
