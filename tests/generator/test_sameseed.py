"""`sameseed`: a grid's pictures begin almost alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from generator.conditioning import noise
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from generator.families.base import Family
from storage.contract import GenerationRequest
from tests.generator.sharing import drawn_together


@pytest.fixture(scope="module")
def family(sd_folder: Path) -> Iterator[Family]:
    with torch.inference_mode():
        yield loading.load(str(sd_folder), torch.device("cpu"))


def asked(**wish: Any) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, "num_inference_steps": 4}
    return GenerationRequest.model_validate(fields | wish)


def apart(grid: Tensor) -> float:
    """The mean distance between two pictures of a grid."""
    pairs = list(itertools.combinations(grid, 2))
    return sum(float((one - other).square().mean().sqrt()) for one, other in pairs) / len(pairs)


@pytest.mark.parametrize("sampler", ["ddim", "euler_a"])
def test_the_grid_is_nearly_one_picture_but_not_quite(family: Family, sampler: str) -> None:
    plain, same = drawn_together(family, asked(scheduler=sampler), asked(scheduler=sampler, sameseed=True))
    assert 0 < apart(same) < apart(plain) / 3
    torch.testing.assert_close(same[0], plain[0])


@torch.inference_mode()
def test_the_start_is_as_noisy_as_ever(family: Family) -> None:
    rows = RunningJob(family, DrawRequest(asked(sameseed=True)))
    rows.start()
    assert rows.latents.std(dim=(1, 2, 3)).sub(1).abs().max() < 0.15


def test_a_single_picture_is_the_plain_one(family: Family) -> None:
    (plain,) = drawn_together(family, asked(num_images_per_prompt=1))
    (same,) = drawn_together(family, asked(num_images_per_prompt=1, sameseed=True))
    assert torch.equal(plain, same)


def test_the_way_along_the_sphere() -> None:
    one, other = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    assert torch.allclose(noise.slerp(one, other, 0.0), one)
    assert torch.allclose(noise.slerp(one, other, 1.0), other)
    assert float(noise.slerp(one, other, 0.4).norm()) == pytest.approx(3.0)
    assert torch.equal(noise.slerp(one, one, 0.4), one)
