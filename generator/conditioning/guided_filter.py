"""The guided filter (He, Sun and Tang 2013): a rough map that keeps to its picture's edges."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

LARGEST = 256
"""Pixels a side in which coefficients are found (He and Sun 2015); in larger pictures they are spread."""


def filtered(rough: Tensor, guide: Tensor, radius: float, smoothness: float) -> Tensor:
    """The map (h, w) at the size of the guide (3, height, width) of 0–1, with edges where the guide has them.

    `radius` is in shorter sides of the guide; what varies less than `smoothness`, a variance, is no edge.
    """
    height, width = guide.shape[1:]
    scale = min(1.0, LARGEST / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = interpolate(guide[None], size=size, mode="bilinear", antialias=True)
    values = interpolate(rough[None, None], size=size, mode="bilinear")
    slope, offset = _coefficients(small, values, max(1, round(radius * min(size))), smoothness)
    slope, offset = (interpolate(each, size=(height, width), mode="bilinear") for each in (slope, offset))
    return (slope * guide[None]).sum(dim=1)[0] + offset[0, 0]


def _coefficients(guide: Tensor, values: Tensor, radius: int, smoothness: float) -> tuple[Tensor, Tensor]:
    """The mean slope (1, 3, h, w) and offset (1, 1, h, w) of the linear models of a pixel's windows."""
    channels = guide.shape[1]
    mean, value = _mean(guide, radius), _mean(values, radius)
    products = (guide[:, :, None] * guide[:, None]).flatten(1, 2)
    squares = _mean(products, radius).reshape(1, channels, channels, *guide.shape[2:])
    variance = squares - mean[:, :, None] * mean[:, None]
    covariance = _mean(guide * values, radius) - mean * value
    regular = variance.movedim((1, 2), (-2, -1)) + smoothness * torch.eye(channels)
    slope = torch.linalg.solve(regular, covariance.movedim(1, -1)).movedim(-1, 1)
    offset = value - (slope * mean).sum(dim=1, keepdim=True)
    return _mean(slope, radius), _mean(offset, radius)


def _mean(values: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    lines = avg_pool2d(values, (side, 1), 1, (radius, 0), count_include_pad=False)
    return avg_pool2d(lines, (1, side), 1, (0, radius), count_include_pad=False)
