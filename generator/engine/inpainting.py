"""Inpainting: what the mask does not cover stays as it was, and what it half covers joins in half-way."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generator.families.base import Denoising


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

    def keep(self, drawn: Tensor, denoising: Denoising, next_call: int, ahead: float) -> Tensor:
        """`drawn` with the rest of the picture put back, as noisy as before `next_call`.

        `ahead` is the part of the job that is left, 0 at the end.
        """
        rest = denoising.noised(self.clean, self.noise, next_call)
        # Half precision would round the first calls' share up to a whole.
        anew = (self.latents.float() > ahead).to(drawn.dtype)
        return (1 - anew) * rest + anew * drawn


def shrunk(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask of pixels (1, 1, height, width) at the size (height, width) of latents."""
    return torch.nn.functional.interpolate(mask, size=size)
