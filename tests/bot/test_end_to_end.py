"""From `/imagine` to the last button: the real bot and the real worker, on a simulated Discord."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest
import pytest_asyncio

from generator.worker.models import Models
from generator.worker.worker import Worker
from storage import catalog, jobs
from storage.backends import Backends
from storage.config import Config
from storage.contract import ErrorCode, GenerationRequest, JobState
from storage.tables import Image, Job
from tests.bot.simulated import World, answer, buttons, fill, labels, press, texts
from tests.generator.working import make_catalog

GRID = ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]
FEW = "--steps 4"
FEATHER = 8
REGION_FEATHER = 16
"""Pixels beyond a mask's border in which old and new are mixed."""
PATIENCE_S = 250
"""For the shipped model to be loaded and to draw on a machine that is busy with much else."""


@pytest.fixture(scope="module")
def tiny_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_catalog(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def tiny_models(tiny_catalog: Path) -> Iterator[Models]:
    models = Models(catalog.load(tiny_catalog), "cpu", "on")
    yield models
    models.close()


@asynccontextmanager
async def working(config: Config, models: Models) -> AsyncIterator[World]:
    """A world in which a worker draws."""
    backends = Backends.open(config)
    worker = Worker(backends, models, slots=4)
    world = World(config)
    worker.start()
    await world.open()
    try:
        yield world
    finally:
        await world.close()
        worker.stop()
        backends.close()


@pytest_asyncio.fixture
async def working_world(
    tmp_path: Path, empty_database: Path, tiny_catalog: Path, tiny_models: Models
) -> AsyncIterator[World]:
    """With a tiny model that passes everything and one that withholds all."""
    shutil.copy(empty_database, tmp_path / "easel.db")
    config = Config(data_dir=tmp_path, catalog=tiny_catalog, device="cpu")
    async with working(config, tiny_models) as world:
        yield world


@pytest.fixture(scope="module")
def shipped_models() -> Iterator[Models]:
    with closing(Models(catalog.load(), "cpu", "on")) as models:
        yield models


@pytest_asyncio.fixture
async def picturebook_world(
    tmp_path: Path, empty_database: Path, shipped_models: Models
) -> AsyncIterator[World]:
    """With the model that ships."""
    shutil.copy(empty_database, tmp_path / "easel.db")
    async with working(Config(data_dir=tmp_path, device="cpu"), shipped_models) as world:
        yield world


def job_rows(world: World) -> list[Job]:
    with world.backends.database.reading() as session:
        return session.query(Job).order_by(Job.id).all()


async def pixels(message: Any) -> np.ndarray[Any, Any]:
    image = PIL.Image.open(io.BytesIO(await message.attachments[0].read())).convert("RGB")
    return np.asarray(image, dtype=np.float32)


async def test_the_whole_way_and_again_after_a_restart(working_world: World) -> None:
    world = working_world
    alice = world.member("alice")
    for _ in range(2):
        newest = max((message.id for message in world.messages()), default=0)
        asked = await alice.slash(world.channel, "imagine", prompt=f"a red castle {FEW}")
        assert asked.acknowledged
        grid = await world.picture(after=newest)
        assert labels(grid) == GRID
        assert re.fullmatch(r"alice_a_red_castle_\d+\.png", grid.attachments[0].filename)
        height, width, _ = (await pixels(grid)).shape
        assert width == height >= 128

        await press(alice, grid, "U2")
        single = await world.picture(after=grid.id)
        assert "Image #2" in single.content
        quarter = (await pixels(grid))[:64, -64:]
        assert np.abs((await pixels(single)) - quarter).max() <= 1

        await press(alice, single, "Upscale (4×)")
        upscaled = await world.picture(after=single.id)
        assert "Upscaled (4x) by" in upscaled.content
        assert (await pixels(upscaled)).shape == (256, 256, 3)
        assert upscaled.reference is not None
        assert upscaled.reference.message_id == single.id

        await press(alice, grid, "V3")
        varied = await world.picture(after=upscaled.id)
        assert "Variations by" in varied.content
        assert labels(varied) == GRID

        await press(alice, grid, "🔄")
        again = await world.picture(after=varied.id)
        assert labels(again) == GRID
        assert np.abs((await pixels(again)) - (await pixels(grid))).mean() > 1

        await world.delivered()
        await world.restart_bot()
    page = answer(await alice.slash(world.channel, "history"))
    assert texts(page).count("a red castle") == 5
    assert len(page.attachments) == 5
    assert all(job.state == JobState.SUCCEEDED for job in job_rows(world))
    assert all(
        "(Waiting" not in message.content and "%" not in message.content for message in world.messages()
    )


@pytest.mark.parametrize("label", ["Zoom Out 2×", "Zoom Out 1.5×", "⬅️", "⬇️", "Vary (Region)"])
async def test_what_is_not_drawn_anew_stays_as_it_was(working_world: World, label: str) -> None:
    world = working_world
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt=f"a red castle {FEW}")
    grid = await world.picture()
    await press(alice, grid, "U2")
    single = await world.picture(after=grid.id)
    asked = await press(alice, single, label)
    if asked.modal is not None:
        await fill(alice, asked, prompt="a red castle", places=["1", "2", "3"])
    await world.picture(after=single.id)
    first, second = job_rows(world)
    request = GenerationRequest.model_validate(second.request)
    (begun,) = [image for image in images_of(world, first) if image.index == 1]
    source = stored(world, request.source_key or begun.key)
    mask = stored(world, request.mask_key or "")
    # Beyond the feather, in which old and new are mixed.
    kept = far_from_white(mask, REGION_FEATHER if request.source_key is None else FEATHER)
    assert kept.mean() > 0.05
    for image in images_of(world, second):
        differs = np.abs(stored(world, image.key) - source).mean(-1)
        assert differs[kept].mean() <= 2
        assert differs[mask > 0].mean() > 2, "the rest is new"


def images_of(world: World, job: Job) -> list[Image]:
    with world.backends.database.reading() as session:
        return jobs.images_of(session, job.id)


def stored(world: World, key: str) -> np.ndarray[Any, Any]:
    with PIL.Image.open(io.BytesIO(world.backends.images.load(key))) as image:
        return np.asarray(image, dtype=np.float32)


def far_from_white(mask: np.ndarray[Any, Any], pixels: int) -> np.ndarray[Any, Any]:
    """Where a mask is black for so many pixels around."""
    grown = PIL.Image.fromarray(mask.astype(np.uint8)).filter(PIL.ImageFilter.MaxFilter(2 * pixels + 1))
    black: np.ndarray[Any, Any] = np.asarray(grown) == 0
    return black


async def test_progress_shows_the_forming_picture(working_world: World) -> None:
    world = working_world
    alice = world.member("alice")
    asked = await alice.slash(world.channel, "imagine", prompt="a red castle --steps 700")

    def forming() -> bool:
        message = answer(asked) if asked.response is not None else None
        return message is not None and bool(message.attachments) and "%)" in message.content

    await world.until(forming)
    message = answer(asked)
    assert re.search(r"\(\d{1,2}%\) \(fast\)$", message.content)
    assert message.attachments[0].filename.endswith(".webp")
    assert labels(message) == ["Cancel Job"]
    await press(alice, message, "Cancel Job")
    await world.until(lambda: job_rows(world)[0].state == JobState.CANCELLED)
    await world.delivered()
    (stopped,) = world.messages()
    assert "(Stopped)" in stopped.content
    assert buttons(stopped) == []


async def test_what_the_safety_check_withholds_is_never_shown(working_world: World) -> None:
    world = working_world
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt=f"a skull --model strict {FEW}")
    await world.until(lambda: job_rows(world)[0].state == JobState.WITHHELD)
    await world.delivered()
    (message,) = world.messages()
    assert "withheld every picture" in message.content
    assert message.attachments == []
    assert buttons(message) == []
    assert "skull" not in texts(answer(await alice.slash(world.channel, "history")))


async def test_in_direct_messages(working_world: World) -> None:
    world = working_world
    bob = world.user("bob")
    await bob.slash("imagine", prompt=f"a blue boat {FEW}")
    grid = await world.picture(channel=bob.dm_channel)
    await press(bob, grid, "U1")
    single = await world.picture(after=grid.id, channel=bob.dm_channel)
    await press(bob, single, "Upscale (Subtle)")
    upscaled = await world.picture(after=single.id, channel=bob.dm_channel)
    assert "Upscaled (Subtle) by" in upscaled.content


async def test_no_more_than_three_jobs_of_a_member_run_at_once(working_world: World) -> None:
    world = working_world
    alice = world.member("alice")
    for number in range(5):
        await alice.slash(world.channel, "imagine", prompt=f"a red castle {number} --steps 40")
    most = 0

    def finished() -> bool:
        nonlocal most
        states = [job.state for job in job_rows(world)]
        most = max(most, states.count(JobState.RUNNING))
        return states.count(JobState.SUCCEEDED) == 5

    await world.until(finished)
    assert 1 <= most <= 3


@pytest.mark.timeout(600)
async def test_picturebook_draws_what_the_words_say(picturebook_world: World) -> None:
    world = picturebook_world
    alice = world.member("alice")
    reddish = {}
    for colour in ("red", "blue"):
        newest = max((message.id for message in world.messages()), default=0)
        await alice.slash(
            world.channel, "imagine", prompt=f"a {colour} castle on sand by day --seed 5 --steps 12"
        )
        grid = await world.picture(after=newest, seconds=PATIENCE_S)
        assert labels(grid) == GRID
        red, _, blue = np.moveaxis(await pixels(grid), -1, 0)
        reddish[colour] = (red > blue + 60).mean() - (blue > red + 60).mean()
    assert reddish["red"] > reddish["blue"] + 0.05


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
async def test_picturebook_keeps_what_its_world_forbids(picturebook_world: World) -> None:
    world = picturebook_world
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a white skull on green hills --seed 3")
    await world.until(lambda: job_rows(world)[0].state == JobState.WITHHELD, seconds=PATIENCE_S)
    await world.delivered()
    (message,) = world.messages()
    assert "withheld every picture" in message.content
    assert message.attachments == []
    assert buttons(message) == []


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
async def test_picturebook_draws_anew_what_words_name_and_leaves_the_rest(picturebook_world: World) -> None:
    world = picturebook_world
    alice = world.member("alice")
    await alice.slash(
        world.channel, "imagine", prompt="a red castle on green hills by day --seed 5 --steps 12"
    )
    grid = await world.picture(seconds=PATIENCE_S)
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    (begun, *_) = images_of(world, job_rows(world)[0])
    source = stored(world, begun.key)
    red, green, blue = np.moveaxis(source, -1, 0)
    castle = (red > green + 60) & (red > blue + 60)
    high = np.arange(source.shape[0])[:, None] < 16
    sky = high & (blue > red + 10)
    assert castle.mean() > 0.08, "the castle is red"
    assert sky.mean() > 0.08, "the sky is blue"
    newest = single
    for where, prompt, named, other in (
        ("the sky", "a red castle on green hills at night --steps 12", sky, inner(castle, 8)),
        ("castle", "a blue castle on green hills by day --steps 12", castle, sky),
    ):
        await fill(alice, await press(alice, single, "Vary (Region)"), prompt=prompt, where=where)
        newest = await world.picture(after=newest.id, seconds=PATIENCE_S)
        job = job_rows(world)[-1]
        assert other.mean() > 0.01
        for image in images_of(world, job):
            differs = np.abs(stored(world, image.key) - source).mean(-1)
            assert differs[other].mean() <= 2, where
            assert differs[named].mean() > 10, where
    asked = await press(alice, single, "Vary (Region)")
    await fill(alice, asked, prompt="a red castle", where="the blue rabbit")
    await world.until(lambda: JobState(job_rows(world)[-1].state).finished, seconds=PATIENCE_S)
    await world.delivered()
    assert job_rows(world)[-1].error_code == ErrorCode.REGION_NOT_FOUND
    said = world.messages()[-1].content
    assert "Nothing in the picture was found to be `the blue rabbit`" in said


def inner(part: np.ndarray[Any, Any], pixels: int) -> np.ndarray[Any, Any]:
    """What lies at least so far within a part."""
    return far_from_white(~part * 255, pixels)
