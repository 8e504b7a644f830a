"""A batch beside other members' jobs, drawn by a real worker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from generator.worker.models import Models
from generator.worker.worker import Worker
from storage.config import Config
from storage.contract import JobState
from storage.tables import Job
from tests.bot.discord_server import DiscordServer
from tests.bot.studio import Studio
from tests.generator.working import make_catalog

LONG_S = 240


@pytest.fixture
def studio(
    discord_server: DiscordServer, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Studio]:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, tmp_path / "easel.db")
    studio = Studio(discord_server, Config(data_dir=tmp_path, catalog=make_catalog(tmp_path), device="cpu"))
    studio.start_bot()
    yield studio
    studio.close()


def started(studio: Studio) -> list[Job]:
    """The jobs in the order in which they were first begun."""
    with studio.backends.database.reading() as session:
        return list(session.scalars(select(Job).order_by(Job.started_at)))


@pytest.mark.timeout(600)
def test_a_large_batch_holds_up_nobody(studio: Studio) -> None:
    question = studio.server.slash(
        studio.ada, studio.channel, "imagine", prompt="a red castle --steps 3 --repeat 12"
    )
    asked = studio.wait(lambda: question.original, what="the question")
    confirmed = studio.server.press(studio.ada, asked, "Yes")
    message = studio.wait(lambda: confirmed.original, what="the batch's message")
    single = studio.imagine(studio.bob, "a blue fish --steps 3")
    # With one slot, so that which comes next is what the claim says, not how fast each is.
    with closing(Models(studio.backends.catalog, "cpu", "on")) as models:
        worker = Worker(studio.backends, models, slots=1)
        worker.start()
        try:
            studio.wait(lambda: "(12 of 12 done)" in message.content, LONG_S, what="the whole batch")
            studio.wait(lambda: len(studio.pictures()) == 13, LONG_S, what="all pictures")
        finally:
            worker.stop()
    studio.settled()
    owners = [job.member_id for job in started(studio)]
    assert owners.index(studio.bob.id) <= 1, "second at the latest, behind one of the batch"
    assert studio.job_of(single).state == JobState.SUCCEEDED
    assert [image.pinged for image in studio.pictures()].count(frozenset({studio.bob.id})) == 1
