"""Vary on the model that ships: near the parent, and subtle nearer than strong."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import PIL.Image
import pytest

from generator.engine.engine import Engine
from storage import catalog
from storage.contract import GenerationRequest, Task

SEEDS = (11, 22, 33, 44)
FEW = SEEDS[:1]


def distance(image: PIL.Image.Image, other: PIL.Image.Image) -> float:
    """Root mean square over pixels."""
    return float(np.sqrt(np.square(np.asarray(image, float) - np.asarray(other, float)).mean()))


def distances(images: Sequence[PIL.Image.Image], others: Sequence[PIL.Image.Image]) -> list[float]:
    return [distance(image, other) for image, other in zip(images, others, strict=True)]


@pytest.mark.parametrize("seeds", [FEW, pytest.param(SEEDS, marks=pytest.mark.exhaustive)], ids=len)
def test_subtle_is_nearer_than_strong_and_strong_than_another_seed(seeds: Sequence[int]) -> None:
    entry = catalog.load()["picturebook"]
    request = GenerationRequest(
        prompt="a red castle on green hills at night",
        width=128,
        height=128,
        num_inference_steps=12,
        guidance_scale=entry.guidance_scale,
        scheduler=entry.scheduler,
        num_images_per_prompt=1,
        seed=0,
    )

    def draw(
        seeds: Sequence[int], parents: Sequence[PIL.Image.Image] = (), strength: float = 1.0
    ) -> list[PIL.Image.Image]:
        task = {"task": Task.IMAGE_TO_IMAGE, "parent_image_id": 1, "strength": strength} if parents else {}
        sources: Sequence[PIL.Image.Image | None] = parents or [None] * len(seeds)
        futures = [
            engine.submit(request.model_copy(update={"seed": seed, **task}), image=source)
            for seed, source in zip(seeds, sources, strict=True)
        ]
        return [future.result()[0] for future in futures]

    with Engine.open(entry.source, device="cpu", entry=entry) as engine:
        parents = draw(seeds)
        fresh = [seed + 1000 for seed in seeds]
        subtle = distances(parents, draw(fresh, parents, entry.strength_subtle))
        strong = distances(parents, draw(fresh, parents, entry.strength_strong))
        other = distances(parents, draw(fresh))
    assert all(near < far for near, far in zip(subtle, strong, strict=True)), (subtle, strong)
    assert statistics.mean(strong) < statistics.mean(other), (strong, other)
    assert statistics.mean(subtle) < 0.6 * statistics.mean(other), (subtle, other)
    assert statistics.mean(strong) > 5, "something changes"
