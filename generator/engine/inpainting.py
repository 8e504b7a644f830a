"""Inpainting: what the mask does not cover stays as it was."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generator.families.base import Denoising


@dataclass(frozen=True)
class Mask:
    """Mask of the part of a picture that is drawn anew, for a job's `n` rows.

    `latents` (1, 1, h, w) is 1 where it is drawn anew and 0 elsewhere; `clean` (n, channels, h, w) are the
    picture's latents and `noise` what the job began with.
    """

    latents: Tensor
    clean: Tensor
    noise: Tensor

    def keep(self, drawn: Tensor, denoising: Denoising, next_call: int) -> Tensor:
        """`drawn` with the rest of the picture put back, as noisy as before `next_call`."""
        rest = denoising.noised(self.clean, self.noise, next_call)
        return (1 - self.latents) * rest + self.latents * drawn


def shrunk(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask of pixels (1, 1, height, width) at the size (height, width) of latents."""
    return torch.nn.functional.interpolate(mask, size=size)
