"""Flow-matching models through Discord: the real bot and worker, tiny networks of the real classes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from generator.worker.models import Models
from storage import catalog
from storage.config import Config
from tests.bot.simulated import World, answer, fill, labels, press
from tests.bot.test_end_to_end import job_rows, working
from tests.generator import tiny, tiny_flow

FEW = "--steps 3"
KINDS = {"zimage": tiny_flow.make_zimage, "klein": tiny_flow.make_klein, "qwen": tiny_flow.make_qwen}


@pytest.fixture(scope="module")
def models_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of one model a family, and Stable Diffusion beside them."""
    folder = tmp_path_factory.mktemp("catalog")
    with_checker = tiny.make_sd(folder / "sd")
    lines = ["[models.sd]", f'source = "{with_checker}"', "sizes = [[64, 64]]"]
    for name, make in KINDS.items():
        lines += [
            f"[models.{name}]",
            f'source = "{make(folder / name)}"',
            "sizes = [[64, 64], [96, 64]]",
            "guidance_scale = 2.0",
            f'safety_checker = "{with_checker}"',
        ]
    (folder / "catalog.toml").write_text("\n".join(lines))
    return folder / "catalog.toml"


@pytest.fixture(scope="module")
def models(models_file: Path) -> Iterator[Models]:
    with closing(Models(catalog.load(models_file), "cpu", "on")) as loaded:
        yield loaded


@pytest_asyncio.fixture
async def world(
    tmp_path: Path, empty_database: Path, models_file: Path, models: Models
) -> AsyncIterator[World]:
    shutil.copy(empty_database, tmp_path / "easel.db")
    async with working(Config(data_dir=tmp_path, catalog=models_file, device="cpu"), models) as world:
        yield world


@pytest.mark.parametrize("model", KINDS)
async def test_grids_singles_variations_and_regions(world: World, model: str) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt=f"a red castle --model {model} --ar 3:2 {FEW}")
    grid = await world.picture()
    await press(alice, grid, "V2")
    varied = await world.picture(after=grid.id)
    assert labels(varied) == labels(grid)
    await press(alice, varied, "U1")
    single = await world.picture(after=varied.id)
    asked = await press(alice, single, "Vary (Region)")
    await fill(alice, asked, prompt="a blue castle", places=["1", "2"])
    await world.picture(after=single.id)
    assert [job.state for job in job_rows(world)] == ["succeeded"] * 3


async def test_what_the_family_cannot_do_is_said_at_the_prompt(world: World) -> None:
    asked = await world.member("alice").slash(world.channel, "imagine", prompt="a castle --model qwen --tile")
    assert "--tile" in answer(asked).content
    asked = await world.member("alice").slash(
        world.channel, "imagine", prompt="a castle --model zimage --sampler ddim"
    )
    assert "euler" in answer(asked).content
    assert not job_rows(world)


async def test_strangers_with_models_of_four_families_all_get_theirs(world: World) -> None:
    for number, model in enumerate([*KINDS, "sd", *KINDS]):
        member = world.member(f"member{number}")
        await member.slash(world.channel, "imagine", prompt=f"a castle --model {model} {FEW}")
    await world.until(lambda: {job.state for job in job_rows(world)} == {"succeeded"}, 240)
    assert len(job_rows(world)) == 7
