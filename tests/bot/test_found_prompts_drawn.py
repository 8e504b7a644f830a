"""Descriptions, shorter prompts and blends by the shipped model: the real bot and a real worker."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from generator.worker.models import Models
from picturebook.scenes import Scene, draw
from storage import catalog, jobs
from storage.config import Config
from storage.contract import ErrorCode, JobState
from storage.tables import Job
from tests.bot.simulated import World, labels, press, texts
from tests.bot.test_end_to_end import GRID, PATIENCE_S, working

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with closing(Models(catalog.load(), "cpu", "on")) as models:
        yield models


@pytest_asyncio.fixture
async def world(tmp_path: Path, empty_database: Path, models: Models) -> AsyncIterator[World]:
    shutil.copy(empty_database, tmp_path / "easel.db")
    async with working(Config(data_dir=tmp_path, device="cpu"), models) as world:
        yield world


def scene(subject: str, colour: str, seed: int = 1) -> tuple[str, bytes]:
    out = io.BytesIO()
    drawn = draw(Scene(subject, colour, "hills", "day", "clear", "illustration", (), seed), (168, 112))
    drawn.save(out, "PNG")
    return f"{colour}_{subject}.png", out.getvalue()


async def finished(world: World, number: int) -> Job:
    """The job of this number, once it and its message are done."""

    def done() -> Job | None:
        with world.backends.database.reading() as session:
            job = session.get(Job, number)
        return job if job is not None and JobState(job.state).finished else None

    job = await world.until(done, PATIENCE_S)
    await world.delivered()
    return job


async def test_a_picture_is_described_and_its_description_drawn(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "describe", image=scene("castle", "red"))
    job = await finished(world, 1)
    assert job.state == JobState.SUCCEEDED, job.error_detail
    message = world.messages()[-1]
    assert labels(message) == ["1️⃣", "2️⃣", "3️⃣", "4️⃣", "🔄", "Imagine all"]
    lines = message.content.splitlines()[1:]
    assert all("--ar 3:2" in line for line in lines)
    named = [line for line in lines if any(word in line for word in ("castle", "fortress", "palace"))]
    coloured = [line for line in lines if any(word in line for word in ("red", "scarlet", "crimson"))]
    assert len(named) >= 3, lines
    assert len(coloured) >= 3, lines
    await press(alice, message, "1️⃣")
    grid = await world.picture(after=message.id, seconds=PATIENCE_S)
    assert [label for label in labels(grid) if label in GRID] == GRID


async def test_a_prompt_is_shortened_to_what_matters(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "shorten", prompt="please draw a red castle with a dragon at night")
    assert (await finished(world, 1)).state == JobState.SUCCEEDED
    said = texts(world.messages()[-1])
    shorter = [line for line in said.splitlines() if line.startswith(("1", "2", "3", "4", "5"))]
    assert len(shorter) == 5
    assert "please" not in shorter[3]
    assert "red" in shorter[3]
    assert "castle" in shorter[3]
    assert not any("dragon" in line for line in shorter)


@pytest.mark.exhaustive
async def test_pictures_are_blended(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "blend", image1=scene("castle", "red"), image2=scene("boat", "blue"))
    job = await finished(world, 1)
    assert job.state == JobState.SUCCEEDED, job.error_detail
    assert job.result is not None
    first, second = job.result["prompts"]
    assert any(word in first for word in ("castle", "fortress", "palace"))
    assert any(word in second for word in ("boat", "sailboat", "ship"))
    grid = await world.picture()
    with world.backends.database.reading() as session:
        assert len(jobs.images_of(session, 1)) == 4
    assert [label for label in labels(grid) if label in GRID] == GRID


async def test_what_the_checker_knows_is_not_described(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "describe", image=scene("skull", "white"))
    job = await finished(world, 1)
    assert (job.state, job.error_code) == (JobState.FAILED, ErrorCode.SOURCE_WITHHELD)
    assert "safety check" in world.messages()[-1].content
