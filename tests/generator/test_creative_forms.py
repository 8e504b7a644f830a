"""Upscale (Creative) keeps the forms of Picturebook's scenes, and adds what no enlarging has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import PIL.Image
import pytest
import torch

from actions.upscale import CREATIVITY
from generator.companions.upscale import Upscaler
from generator.conditioning import tiled_img2img
from generator.conditioning.tiled_img2img import Tile
from generator.engine.engine import Engine
from picturebook import captions, scenes
from picturebook.scenes import Scene
from storage import catalog
from storage.contract import GenerationRequest, Task

Picture = PIL.Image.Image

SCENES = (
    Scene("castle", "red", "hills", "day", "clear", "illustration", seed=3),
    Scene("boat", "orange", "sea", "night", "clear", "illustration", seed=8),
)


@pytest.mark.parametrize("scene", [SCENES[0], pytest.param(SCENES[1], marks=pytest.mark.exhaustive)])
def test_an_enlarged_picture_keeps_its_forms(scene: Scene) -> None:
    """Seen at its own size it is no further from the picture than Vary (Subtle), and it is sharper."""
    entry = catalog.load()["picturebook"]
    assert entry.upscaler is not None
    upscaler = Upscaler.load(entry.upscaler.source, torch.device("cpu"))
    with Engine.open(entry.source, device="cpu", entry=entry) as engine:
        image = scenes.draw(scene)
        request = GenerationRequest(
            task=Task.UPSCALE,
            parent_image_id=1,
            prompt=captions.full_caption(scene),
            seed=5,
            width=256,
            height=256,
            scale=2,
            creativity=CREATIVITY,
            num_images_per_prompt=1,
            num_inference_steps=entry.num_inference_steps,
            guidance_scale=entry.guidance_scale,
            scheduler=entry.scheduler,
        )
        subtle = request.changed(
            task=Task.IMAGE_TO_IMAGE, width=128, height=128, scale=1, strength=entry.strength_subtle
        )
        enlarged = upscaler.enlarge(image, 2)
        found = tiled_img2img.tiled_img2img(enlarged, request, entry.sizes, partial(drawn, engine))
        (varied,) = drawn(engine, [Tile(subtle, image)])
        assert distance(found, image) <= 1.15 * distance(varied, image)
        assert sharpness(found) > sharpness(enlarged)


def drawn(engine: Engine, pieces: Sequence[Tile]) -> list[Picture]:
    futures = [engine.submit(piece.request, image=piece.image) for piece in pieces]
    return [future.result()[0] for future in futures]


def distance(image: Picture, other: Picture) -> float:
    """The mean difference in levels, at the size of the other."""
    small = image.resize(other.size, PIL.Image.Resampling.BOX)
    return float(np.abs(np.asarray(small, float) - np.asarray(other, float)).mean())


def sharpness(image: Picture) -> float:
    """The mean step between neighbouring pixels."""
    values = np.asarray(image.convert("L"), float)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())
