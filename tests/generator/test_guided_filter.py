"""A rough map is led along the edges of its picture, whatever the size of either."""

from __future__ import annotations

import pytest
import torch

from generator.conditioning import guided_filter


@pytest.mark.parametrize("size", [(96, 128), (300, 500)])
def test_a_blurred_blob_becomes_the_disc_that_it_lies_on(size: tuple[int, int]) -> None:
    rough, disc = blob(24, 32) > 0.45, blob(*size) > 0.55
    guide = disc.float() * torch.tensor([0.7, 0.2, 0.1])[:, None, None] + 0.1
    found = guided_filter.filtered(rough.float(), guide, 1 / 12, 1e-3) > 0.4
    before = torch.nn.functional.interpolate(rough[None, None].float(), size=size)[0, 0] > 0.5
    assert found.shape == size
    assert overlap(before, disc) < 0.75
    assert overlap(found, disc) > 0.8


def test_where_the_picture_has_no_edge_the_map_stays() -> None:
    rough = torch.linspace(0, 1, 24).repeat(16, 1)
    found = guided_filter.filtered(rough, torch.full((3, 64, 96), 0.5), 1 / 12, 1e-3)
    assert (found[:, 16:-16] - torch.linspace(0, 1, 96)[16:-16]).abs().max() < 0.05


def blob(height: int, width: int) -> torch.Tensor:
    """1 in the middle, and less in circles around it."""
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None]
    return 1 - (x**2 + y**2).sqrt()


def overlap(found: torch.Tensor, true: torch.Tensor) -> float:
    return float((found & true).sum() / (found | true).sum())
