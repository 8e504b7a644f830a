"""Inpainting rows are diffusers' own inpainting pipelines, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from generator.engine.engine import Engine
from generator.engine.inpainting import Mask
from generator.families.base import Denoising
from storage.contract import GenerationRequest, Task
from tests.generator.reference import Pipeline, difference
from tests.generator.test_engine_exact import asked, picture

FOLDERS = ("sd_folder", "sd2_folder", "sdxl_folder", "inpainting_folder")
SAMPLERS = ("ddim", "euler_a", "dpm++2m", "heun", "lcm")


@pytest.fixture(scope="module", params=FOLDERS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, Pipeline]]:
    folder: Path = request.getfixturevalue(request.param)
    with Engine.open(str(folder), device="cpu") as engine:
        yield engine, Pipeline(folder)


def left_half() -> PIL.Image.Image:
    """White, and so drawn anew, on the left."""
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    return PIL.Image.fromarray(mask)


def repaint(**wish: object) -> GenerationRequest:
    fields = {
        "task": Task.INPAINTING,
        "parent_image_id": 1,
        "mask_key": "mask.png",
        "num_images_per_prompt": 1,
    }
    return asked(**{**fields, "num_inference_steps": 4, **wish})


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_is_the_pipeline(pair: tuple[Engine, Pipeline], sampler: str, strength: float) -> None:
    engine, pipeline = pair
    request = repaint(scheduler=sampler, strength=strength)
    stranger = engine.submit(repaint(scheduler="euler", seed=5), image=picture(3), mask=left_half())
    images = engine.submit(request, image=picture(), mask=left_half()).result()
    assert difference(images, pipeline.draw(request, picture(), left_half())) <= 1
    stranger.result()


def test_a_mask_of_another_size_is_the_pipelines_too(pair: tuple[Engine, Pipeline]) -> None:
    engine, pipeline = pair
    small = left_half().resize((28, 28), PIL.Image.Resampling.NEAREST)
    images = engine.submit(repaint(), image=picture(), mask=small).result()
    assert difference(images, pipeline.draw(repaint(), picture(), small)) <= 1


def test_only_the_white_part_is_drawn_anew(sd_folder: Path) -> None:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        one, other = (
            np.asarray(
                engine.submit(repaint(seed=seed), image=picture(), mask=left_half()).result()[0], float
            )
            for seed in (1, 2)
        )
    # The autoencoder looks a little beyond the border.
    change = np.abs(one - other).mean(axis=(0, 2))
    assert change[:32].mean() > 10 * change[48:].mean()


def test_what_is_grey_is_drawn_late_and_stays_near_the_old_picture(sd_folder: Path) -> None:
    """The darker the mask, the later it lets go of what was there."""
    mask = np.full((64, 64), 255, np.uint8)
    mask[:, 40:] = 0
    changes = []
    with Engine.open(str(sd_folder), device="cpu") as engine:
        for grey in (255, 160, 90, 0):
            mask[:, 24:40] = grey
            given = PIL.Image.fromarray(mask)
            drawn = engine.submit(repaint(num_inference_steps=8), image=picture(), mask=given).result()[0]
            change = np.abs(np.asarray(drawn, float) - np.asarray(picture().convert("RGB"), float))
            changes.append(change[:, 28:36].mean())
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > changes[1] > changes[2] > changes[3]


@pytest.mark.parametrize("stop", [100, 50])
@pytest.mark.parametrize("sampler", ["euler", "heun", "kdpm2", "kdpm2_a"])
def test_a_soft_mask_moves_at_whole_steps(
    sd_folder: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, stop: int
) -> None:
    """A step of two calls has one mask for both, and as many are drawn as by a sampler of one call."""
    drawn_anew: list[int] = []
    keep = Mask.keep

    def looked_at(mask: Mask, drawn: Tensor, denoising: Denoising, next_call: int, ahead: float) -> Tensor:
        ones = torch.ones_like(drawn)
        blank = replace(mask, clean=torch.zeros_like(drawn), noise=torch.zeros_like(drawn))
        drawn_anew.append(int(keep(blank, ones, denoising, next_call, ahead)[0, 0].count_nonzero()))
        return keep(mask, drawn, denoising, next_call, ahead)

    monkeypatch.setattr(Mask, "keep", looked_at)
    ramp = PIL.Image.linear_gradient("L").resize((64, 64))
    wish = repaint(scheduler=sampler, num_inference_steps=8, stop=stop, strength=1.0)
    with Engine.open(str(sd_folder), device="cpu") as engine:
        engine.submit(wish, image=picture(), mask=ramp).result()
    shrunk = np.asarray(ramp.resize((64, 64)), float)[::8, ::8] / 255
    steps = 8 * stop // 100
    by_step = [int((shrunk > 1 - (step + 1) / steps).sum()) for step in range(steps)]
    calls = 1 if sampler == "euler" else 2
    expected = [count for count in by_step for _ in range(calls)]
    assert drawn_anew == (expected[:-1] if calls == 2 and stop == 100 else expected)
    assert len(set(by_step)) == steps


@pytest.mark.parametrize("sampler", ["ddim", "euler_a"])
def test_without_a_mask_all_of_the_picture_is_drawn(inpainting_folder: Path, sampler: str) -> None:
    """A network made for inpainting draws prompts, and variations of a picture, under a white mask."""
    white = PIL.Image.new("L", (64, 64), 255)
    whole = asked(scheduler=sampler, num_images_per_prompt=1)
    varied = asked(
        scheduler=sampler,
        task=Task.IMAGE_TO_IMAGE,
        parent_image_id=1,
        strength=0.6,
        num_images_per_prompt=1,
        num_inference_steps=5,
    )
    with Engine.open(str(inpainting_folder), device="cpu") as engine:
        stranger = engine.submit(repaint(scheduler="euler", seed=5), image=picture(3), mask=left_half())
        drawn = [engine.submit(whole).result(), engine.submit(varied, image=picture()).result()]
        stranger.result()
    pipeline = Pipeline(inpainting_folder)
    for wish, image, found in zip((whole, varied), (picture(3), picture()), drawn, strict=True):
        part = wish.changed(task=Task.INPAINTING, parent_image_id=1, mask_key="m")
        assert difference(found, pipeline.draw(part, image, white)) <= 1


def test_what_lacks_is_said(sd_folder: Path) -> None:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        with pytest.raises(ValueError, match="needs a picture"):
            engine.submit(repaint()).result()
        with pytest.raises(ValueError, match="needs a mask"):
            engine.submit(repaint(), image=picture()).result()
