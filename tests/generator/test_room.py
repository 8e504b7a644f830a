"""A worker without room takes no jobs, says so once, and goes on by itself."""

from __future__ import annotations

import errno
import logging
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from generator.worker import room as module
from generator.worker.room import MEMORY, PAUSES, PICTURES, PROBE_SECONDS, Room
from storage import attempts, images
from storage.contract import ErrorCode, JobState
from storage.images import ImageStore
from storage.tables import WorkerRow
from tests.generator.working import Place, wait_for


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore((tmp_path / "store").as_uri())


@pytest.fixture
def room(store: ImageStore, clock: Clock) -> Room:
    return Room(store, "test", clock)


class Disk:
    """Has no room for files while it is `full`, as a quota has none: the free bytes do not tell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        if self.full and stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        self._fsync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_full_disk_is_left_alone_until_it_takes_something(
    room: Room, disk: Disk, clock: Clock, store: ImageStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert room.look()
    disk.full = True
    for _ in range(3):
        room.had_none_for_pictures(1000)
    for _ in range(5):
        clock.seconds += PROBE_SECONDS
        assert not room.look()
        assert room.lacks == PICTURES
    disk.full = False
    clock.seconds += PROBE_SECONDS
    assert room.look()
    assert room.lacks is None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert str(store.folder) in said[0]
    assert "goes on" in said[1]
    assert list((store.folder / ".incoming").iterdir()) == []


def test_a_disk_that_is_nearly_full_is_seen_before_anything_is_drawn(
    room: Room, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LEAST_FREE", 2**62)
    assert not room.look()
    assert room.lacks == PICTURES
    monkeypatch.setattr(images, "LEAST_FREE", 0)
    clock.seconds += PROBE_SECONDS
    assert room.look()


def test_memory_is_waited_for_longer_and_longer(room: Room, clock: Clock) -> None:
    for pause in (*PAUSES[MEMORY], PAUSES[MEMORY][-1]):
        for _ in range(3):
            room.had_no_memory()  # jobs that ran side by side
        clock.seconds += pause - 0.1
        assert not room.look()
        assert room.lacks == MEMORY
        clock.seconds += 0.1
        assert room.look()
    room.sufficed(0)
    room.had_no_memory()
    clock.seconds += PAUSES[MEMORY][0]
    assert room.look()


class Quota:
    """Takes files up to `left` bytes in all, which the free bytes of the disk do not tell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        if stat.S_ISREG(state.st_mode) and state.st_size > self.left:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        self._fsync(descriptor)


@pytest.mark.parametrize("needed", [1000, images.GRID_BYTES, images.GRID_BYTES + 2**20])
def test_room_is_there_when_what_did_not_fit_would(
    room: Room, clock: Clock, monkeypatch: pytest.MonkeyPatch, needed: int
) -> None:
    quota = Quota(monkeypatch, max(needed, images.GRID_BYTES) - 1)
    room.had_none_for_pictures(needed)
    for _ in range(3):
        clock.seconds += PROBE_SECONDS
        assert not room.look()
    quota.left += 1
    clock.seconds += PROBE_SECONDS
    assert room.look()


def test_a_store_that_takes_the_probe_but_no_picture_is_tried_more_and_more_seldom(
    room: Room, clock: Clock
) -> None:
    for pause in (*PAUSES[PICTURES], PAUSES[PICTURES][-1]):
        room.had_none_for_pictures(1000)
        clock.seconds += pause - 0.1
        assert pause == 0 or not room.look()
        clock.seconds += PROBE_SECONDS
        assert room.look()
        room.sufficed(999)  # of a smaller job
    room.sufficed(1000)
    room.had_none_for_pictures(1000)
    clock.seconds += PROBE_SECONDS
    assert room.look()


def lacking(place: Place) -> list[str | None]:
    with place.backends.database.reading() as session:
        return [row.lacks for row in session.query(WorkerRow)]


def test_jobs_wait_out_a_full_disk_and_lose_nothing(
    place: Place, disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attempts, "PAUSE_OF_NOBODY_MS", 100)
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.1)
    with place.working(slots=2, look_seconds=0.05, lease_ms=1000) as worker:
        disk.full = True
        ids = [place.ask(member=member, num_images_per_prompt=1) for member in range(1, 7)]
        wait_for(lambda: lacking(place) == [PICTURES])
        tried = sum(place.job(each).attempts for each in ids)
        time.sleep(0.5)
        assert sum(place.job(each).attempts for each in ids) == tried, "nothing is drawn in vain"
        assert tried <= 3
        disk.full = False
        assert [place.wait(each).state for each in ids] == [JobState.SUCCEEDED] * len(ids)
        wait_for(lambda: lacking(place) == [None])
        assert worker.lacks is None
    assert all(job.attempts - job.handbacks == 1 for job in map(place.job, ids))
    assert [record.levelno for record in caplog.records if record.name == module.__name__] == [
        logging.ERROR,
        logging.WARNING,
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_so_it_is_on_a_disk_that_is_really_full(
    place: Place, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSE_OF_NOBODY_MS", 100)
    monkeypatch.setattr(images, "LEAST_FREE", 0)
    monkeypatch.setattr(images, "GRID_BYTES", 2**16)
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.1)
    place.backends.images = ImageStore(small_disk.as_uri())
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(2**20))
    with place.working(look_seconds=0.05):
        ids = [place.ask(member=member, num_images_per_prompt=1) for member in (1, 2, 3)]
        wait_for(lambda: any(place.job(each).error_code == ErrorCode.DISK_FULL for each in ids))
        ballast.unlink()
        assert [place.wait(each).state for each in ids] == [JobState.SUCCEEDED] * 3
    assert all(job.attempts - job.handbacks == 1 for job in map(place.job, ids))


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rooms that ran out, one after the other."""
    ran_out, seen = Room._ran_out, list[str]()

    def noted(room: Room, what: str) -> None:
        seen.append(what)
        ran_out(room, what)

    monkeypatch.setattr(Room, "_ran_out", noted)
    return seen


def test_who_has_no_memory_beside_others_is_tried_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never fits is told so in the end, and only it."""
    monkeypatch.setattr(attempts, "PAUSES_MS", (50,))
    monkeypatch.setitem(PAUSES, MEMORY, (0.1,))
    closed = watch(monkeypatch)
    engine = place.models.engine("plain")
    submit = engine.submit

    def tight(request: object, **options: object) -> object:
        if getattr(request, "prompt", "") == "huge":
            raise torch.OutOfMemoryError("it never fits")
        return submit(request, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "submit", tight)
    with place.working(look_seconds=0.05):
        huge, other = place.ask(prompt="huge"), place.ask(member=2)
        job = place.wait(huge)
        assert (job.state, job.error_code) == (JobState.FAILED, ErrorCode.OUT_OF_MEMORY)
        assert (job.attempts, job.handbacks) == (1 + attempts.ATTEMPTS, 1)
        assert place.wait(other).state == JobState.SUCCEEDED
    assert closed == [MEMORY], "when it failed alone, others were served all the while"
