"""Initial noise of a grid whose pictures are to begin almost alike."""

from __future__ import annotations

import torch
from torch import Tensor

OWN = 0.15
"""Fraction of the way from the first picture's noise to its own at which each of a `sameseed` grid begins."""


def alike(noise: Tensor) -> Tensor:
    """(pictures, …) of noise, each turned from its own most of the way to the first one's."""
    first, *others = noise
    return torch.stack([first, *(slerp(first, other, OWN) for other in others)])


def slerp(begin: Tensor, end: Tensor, share: float) -> Tensor:
    """From `begin` to `end` along the sphere: a straight line would lead to weaker noise in between."""
    one, other = begin.float().flatten(), end.float().flatten()
    cosine = torch.dot(one, other) / (one.norm() * other.norm())
    angle = cosine.clamp(-1, 1).acos()
    if float(angle) < 1e-4:
        return begin
    weights = ((1 - share) * angle).sin() / angle.sin(), (share * angle).sin() / angle.sin()
    between: Tensor = weights[0] * one + weights[1] * other
    return between.view_as(begin).to(begin.dtype)
