"""Inpainting: what the mask does not cover stays as it was, and what it half covers joins in half-way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """Mask of the part of a picture that is drawn anew, for a job's `n` rows.

    `latents` (1, 1, h, w) is 1 where it is drawn anew and 0 elsewhere. A value between is the part of the
    job, at its end, in which it is: until then the old picture stays there, and leads what is drawn beside it
    (differential diffusion, arXiv:2306.00950). `clean` (n, channels, h, w) are the picture's latents and
    `noise` what the job began with.
    """

    latents: Tensor
    clean: Tensor
    noise: Tensor

    def keep(self, drawn: Tensor, scheduler: Any, next_time: Tensor, ahead: float) -> Tensor:
        """`drawn` with the rest of the picture put back, as noisy as at `next_time` (empty: the end).

        `ahead` is the part of the job that is left, 0 at the end.
        """
        rest = self.clean
        if len(next_time):
            rest = scheduler.add_noise(self.clean, self.noise, next_time.repeat(len(self.clean)))
        anew = (self.latents > ahead).to(drawn.dtype)
        return (1 - anew) * rest + anew * drawn


def shrunk(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask of pixels (1, 1, height, width) at the size (height, width) of latents."""
    return torch.nn.functional.interpolate(mask, size=size)
