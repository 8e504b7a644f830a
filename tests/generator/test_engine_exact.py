"""The engine's pictures are diffusers' own, within 1/255 per pixel, for every sampler and family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from generator.engine.engine import Engine
from generator.families import schedulers
from storage.contract import GenerationRequest, Task
from tests.generator.reference import Pipeline, difference

FOLDERS = ("sd_folder", "sd2_folder", "sdxl_folder", "picturebook_folder")
CHOSEN = ("euler", "dpm++2m", "unipc", "lcm")
"""For every family: one of each way in which samplers take what a model predicts."""
DRAWN = [
    pytest.param(
        folder,
        sampler,
        marks=() if folder == "sd_folder" or sampler in CHOSEN else pytest.mark.exhaustive,
    )
    for folder in FOLDERS
    for sampler in schedulers.TABLE
]


@pytest.fixture(scope="module", params=FOLDERS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, Pipeline]]:
    folder: Path = request.getfixturevalue(request.param)
    with Engine.open(str(folder), device="cpu") as engine:
        yield engine, Pipeline(folder)


@pytest.fixture(scope="module")
def sd_pair(sd_folder: Path) -> Iterator[tuple[Engine, Pipeline]]:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        yield engine, Pipeline(sd_folder)


def asked(**wish: object) -> GenerationRequest:
    fields = {
        "prompt": "a red castle",
        "width": 64,
        "height": 64,
        "seed": 2**32 - 1,
        "num_inference_steps": 3,
        "num_images_per_prompt": 2,
    }
    return GenerationRequest.model_validate(fields | wish)


def picture(seed: int = 0) -> PIL.Image.Image:
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return PIL.Image.fromarray(blocks).resize((64, 64), PIL.Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("pair", "sampler"), DRAWN, indirect=["pair"])
def test_every_sampler_draws_what_the_pipeline_draws(pair: tuple[Engine, Pipeline], sampler: str) -> None:
    engine, pipeline = pair
    request = asked(scheduler=sampler)
    assert difference(engine.submit(request).result(), pipeline.draw(request)) <= 1


@pytest.mark.parametrize("sampler", [name for name in schedulers.TABLE if name != "pndm"])
def test_every_sampler_varies_a_picture_as_the_pipeline_does(
    sd_pair: tuple[Engine, Pipeline], sampler: str
) -> None:
    engine, pipeline = sd_pair
    request = asked(
        task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=0.6, num_inference_steps=5, scheduler=sampler
    )
    images = engine.submit(request, image=picture()).result()
    assert difference(images, pipeline.draw(request, picture())) <= 1


@pytest.mark.parametrize(
    "wish",
    [
        {"guidance_scale": 1.0},
        {"guidance_scale": 0.0},
        {"guidance_scale": 12.5, "negative_prompt": "boats, water"},
        {"width": 96, "height": 64},
        {"num_inference_steps": 1},
        {"prompt": "word " * 18 + "end"},
        {"prompt": "ein Schloß 🏰 \n\t im Wald"},
    ],
    ids=str,
)
def test_every_wish_reaches_the_picture(pair: tuple[Engine, Pipeline], wish: dict[str, object]) -> None:
    engine, pipeline = pair
    request = asked(**wish)
    images = engine.submit(request).result()
    assert difference(images, pipeline.draw(request)) <= 1
    assert difference(images, engine.submit(asked(seed=7, **wish)).result()) > 30


def test_xl_varies_a_picture_as_the_pipeline_does(sdxl_folder: Path) -> None:
    request = asked(task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=0.5, num_inference_steps=4)
    with Engine.open(str(sdxl_folder), device="cpu") as engine:
        images = engine.submit(request, image=picture()).result()
    assert difference(images, Pipeline(sdxl_folder).draw(request, picture())) <= 1


def test_image_k_of_a_grid_is_the_single_image_of_seed_plus_k(sd_pair: tuple[Engine, Pipeline]) -> None:
    engine, _ = sd_pair
    grid = engine.submit(asked(num_images_per_prompt=4, scheduler="euler_a")).result()
    for index, seed in enumerate((2**32 - 1, 0, 1, 2)):
        alone = engine.submit(asked(num_images_per_prompt=1, scheduler="euler_a", seed=seed)).result()
        assert difference(alone, [grid[index]]) <= 1


@pytest.mark.parametrize("sampler", ["lcm", "tcd"])
def test_more_steps_than_a_distilled_sampler_has(sd_pair: tuple[Engine, Pipeline], sampler: str) -> None:
    engine, _ = sd_pair
    request = asked(scheduler=sampler, num_inference_steps=60, num_images_per_prompt=1)
    assert engine.submit(request).result()[0].size == (64, 64)


def test_a_strength_of_almost_nothing_is_still_one_step(sd_pair: tuple[Engine, Pipeline]) -> None:
    engine, _ = sd_pair
    calls: list[float] = []
    request = asked(task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=0.01)
    engine.submit(request, image=picture(), on_progress=lambda step: calls.append(step.fraction)).result()
    assert calls == [1.0]
