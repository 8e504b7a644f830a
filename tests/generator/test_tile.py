"""`tile`: a picture has no border, so a shift of its beginning is a shift of its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from generator.companions.upscale import Upscaler
from generator.compiling.calls import Call, Inputs
from generator.engine.engine import Engine
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from generator.families.sd import StableDiffusion
from storage.contract import GenerationRequest, Task
from tests.generator.reference import difference
from tests.generator.sharing import drawn_together, noisy, stable_diffusion

CPU = torch.device("cpu")
SHIFT = (2, 4)
"""Latents down and to the right: multiples of what the UNet makes smaller."""


@pytest.fixture(
    scope="module", params=["sd_folder", pytest.param("sdxl_folder", marks=pytest.mark.exhaustive)]
)
def family(request: pytest.FixtureRequest) -> Iterator[StableDiffusion]:
    folder: Path = request.getfixturevalue(request.param)
    with torch.inference_mode():
        yield stable_diffusion(loading.load(str(folder), CPU))


def asked(**wish: Any) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, "num_inference_steps": 3}
    return GenerationRequest.model_validate(fields | wish)


def shifted(values: Tensor, times: int = 1) -> Tensor:
    return values.roll([times * each for each in SHIFT], dims=(2, 3))


def inputs(family: StableDiffusion) -> Inputs:
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    conditions = family.conditions([family.prompts["a fox"]] * 2, [], size=(64, 64), guidance_scale=1.0)
    return latents, torch.full((2,), 500.0), conditions


def unmoved(call: Call, given: Inputs) -> float:
    """How far the answer to what was shifted is from the shifted answer."""
    with torch.inference_mode():
        latents, *others = given
        moved = call(shifted(latents), *others)
        return float((moved - shifted(call(*given))).abs().max())


def test_the_network_sees_no_border(family: StableDiffusion) -> None:
    given = inputs(family)
    assert unmoved(family.tiling().denoiser, given) < 1e-3
    assert unmoved(family.denoiser, given) > 0.05


@torch.inference_mode()
def test_pictures_are_decoded_without_border(family: StableDiffusion) -> None:
    latents, *_ = inputs(family)
    for each, near in ((family.tiling(), True), (family, False)):
        apart = each.decode(shifted(latents)) - shifted(each.decode(latents), family.latent_scale)
        assert bool(apart.abs().max() < 1e-3) is near


@torch.inference_mode()
def test_pictures_are_encoded_without_border(family: StableDiffusion) -> None:
    pixels = family.pixels(noisy(), 64, 64)
    for each, near in ((family.tiling(), True), (family, False)):
        moved = each.posterior(shifted(pixels, family.latent_scale)).mode()
        mode = each.posterior(pixels).mode()
        assert mode.shape == (1, 4, 8, 8)
        assert bool((moved - shifted(mode)).abs().max() < 1e-3) is near


def test_the_weights_are_shared(family: StableDiffusion) -> None:
    clone = family.tiling()
    pairs = zip(clone.unet.parameters(), family.unet.parameters(), strict=True)
    assert all(one is other for one, other in pairs)
    assert {layer.padding_mode for layer in family.unet.modules() if hasattr(layer, "padding_mode")} == {
        "zeros"
    }


def test_a_tiling_job_has_a_group_of_its_own_and_changes_no_bit_of_another(sd_folder: Path) -> None:
    neighbour = asked(prompt="a boat", seed=1)
    with Engine.open(str(sd_folder), device="cpu") as engine, torch.inference_mode():
        tiling = engine._variants.of(asked(tile=True))
        (alone,) = drawn_together(engine.family, neighbour)
        (tile,) = drawn_together(tiling, asked(tile=True))
        flat, tiled = (RunningJob(each, DrawRequest(asked())) for each in (engine.family, tiling))
        for rows in (flat, tiled):
            rows.start()
        assert flat.group != tiled.group
        futures = [engine.submit(wish) for wish in (asked(tile=True), neighbour, asked(tile=False))]
        drawn, beside, plain = (future.result() for future in futures)
    assert difference(beside, engine.family.images(alone)) <= 1
    assert difference(drawn, engine.family.images(tile)) <= 1
    assert difference(drawn, plain) > 10


def test_a_variation_of_a_tiling_picture_tiles(sd_folder: Path) -> None:
    request = asked(task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=0.5, tile=True)
    with Engine.open(str(sd_folder), device="cpu") as engine:
        varied = engine.submit(request, image=noisy()).result()
        plain = engine.submit(request.model_copy(update={"tile": False}), image=noisy()).result()
    assert varied[0].size == (64, 64)
    assert difference(varied, plain) > 5


def test_an_enlarged_picture_still_meets_itself(upscaler_folder: Path) -> None:
    upscaler = Upscaler.load(str(upscaler_folder), CPU)
    image = noisy()
    moved = PIL.Image.fromarray(np.roll(np.asarray(image), (16, 24), axis=(0, 1)))
    for scale in (2, 4):
        for wrapped in (True, False):
            one = np.asarray(upscaler.enlarge(image, scale, wrapped=wrapped), int)
            other = np.asarray(upscaler.enlarge(moved, scale, wrapped=wrapped), int)
            assert one.shape == (64 * scale, 64 * scale, 3)
            apart = np.abs(np.roll(one, (16 * scale, 24 * scale), axis=(0, 1)) - other).max()
            assert bool(apart <= 2) is wrapped
