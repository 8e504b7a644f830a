"""The bot's thread that keeps the image store clean."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import delete

from bot import database_outage
from bot.sweeper import Sweeper
from storage import brought
from storage.backends import Backends
from storage.config import Config
from storage.images import ImageStore
from storage.tables import Filling, Job, JobImage
from tests.storage import asking

NEEDED, NEEDLESS = (f"incoming/{name * 64}.png" for name in "ab")


@pytest.fixture
def backends(config: Config) -> Iterator[Backends]:
    opened = Backends.open(config)
    yield opened
    opened.close()


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _filled_then_swept(backends: Backends) -> bool:
    with backends.database.reading() as session:
        filled = brought.is_filled(session)
    return filled and not backends.images.exists(NEEDLESS)


def test_older_jobs_are_looked_through_and_then_the_store_is_swept(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after a database or a disk that was away."""
    monkeypatch.setattr(database_outage, "FIRST_S", 0.01)
    request = asking.draft().request.model_copy(update={"source_key": NEEDED})
    job_id = asking.submit(backends.database, 1, request=request)
    with backends.database.writing() as session:
        session.get_one(Job, job_id).created_at -= 3 * 86_400_000
        session.execute(delete(JobImage))
        session.add(Filling(name="job_pictures", after=0, until=job_id))
    for key in (NEEDED, NEEDLESS):
        backends.images.save(key, b"picture")
        earlier = time.time() - 2 * 86_400
        os.utime(backends.images.folder / key, (earlier, earlier))
    looks = iter([OSError("the disk is away")])
    older_than = ImageStore.older_than

    def older(self: ImageStore, age_s: float) -> object:
        for error in looks:
            raise error
        return older_than(self, age_s)

    monkeypatch.setattr(ImageStore, "older_than", older)
    sweeping = Sweeper(backends)
    sweeping.start()
    _until(lambda: _filled_then_swept(backends))
    sweeping.stop()
    assert backends.images.exists(NEEDED)
    assert "the disk is away" in caplog.text
