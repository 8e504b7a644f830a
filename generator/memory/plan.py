"""A memory plan: the measures by which a model fits into its device's memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Storage = Literal["own", "fp8", "int8", "nf4"]
"""Form in which a denoiser's weights wait; they are computed with in the model's own precision."""

TILE = 512
"""Pixels along one side of what is decoded at a time, where pictures are decoded in tiles."""


@dataclass(frozen=True)
class MemoryPlan:
    """Each measure costs time, and none of those that `auto` takes but tiled decoding changes a picture."""

    fused: bool = True
    """On a GPU, attentions' projections lie there once more, side by side, which is a little quicker."""
    companions_leave: bool = False
    """Safety checker, upscaler, describer and segmenter wait in main memory."""
    text_encoders_leave: bool = False
    """They wait in main memory, but for the prompts that they read."""
    variants_leave: bool = False
    """The UNet with LoRAs and without take turns: what is another's alone waits in main memory."""
    rows: int | None = None
    """Most rows of a call at the model's largest size; a guided grid of four is eight."""
    largest: int = 0
    """Latent pixels of that size."""
    sliced_decoding: bool = False
    """Pictures are decoded one at a time."""
    tiled_decoding: bool = False
    """Large pictures are decoded in tiles that overlap and are blended."""
    group_offload: bool = False
    """The denoiser's layers wait in main memory, each until it computes."""
    storage: Storage = "own"

    @property
    def call_latents(self) -> int | None:
        """Most latent pixels of a call, rows times those of a picture; None: as many as are quick."""
        return None if self.rows is None else self.rows * self.largest

    @property
    def one_at_a_time(self) -> bool:
        """True if no two pictures are decoded together."""
        return self.sliced_decoding or self.tiled_decoding

    @property
    def hooked(self) -> bool:
        """True if the denoiser's layers are watched, and so cannot be compiled."""
        return self.group_offload or self.storage != "own"

    @property
    def moves(self) -> bool:
        """True if weights of the model itself come and go."""
        return self.group_offload or self.text_encoders_leave or self.variants_leave

    def measures(self) -> Iterator[str]:
        """Sentences' parts for whoever runs it."""
        if self.storage != "own":
            yield f"weights in {self.storage}"
        if self.companions_leave:
            yield "safety checker and upscalers wait in main memory"
        if self.text_encoders_leave:
            yield "text encoders wait in main memory"
        if self.variants_leave:
            yield "LoRAs take turns"
        if self.rows is not None:
            yield f"at most {self.rows} rows a call"
        if self.sliced_decoding:
            yield "pictures decoded one by one"
        if self.tiled_decoding:
            yield "large pictures decoded in tiles"
        if self.group_offload:
            yield "the UNet's layers wait in main memory"


PLAIN = MemoryPlan()

GRID_ROWS = 8
"""Rows of a guided grid of four."""
CPU_ROWS = 16
GPU_LATENTS = 16 * 64 * 64
"""Latent pixels in one call that fill a large GPU: here 16 rows at 512 × 512 pixels.

Of Stable Diffusion 1.5 on an H200 (docs/performance.md): twice as many are little quicker by the row, and a
newcomer would wait twice as long.
"""

CPU_PIXELS = 4 * 128 * 128
GPU_PIXELS = 4 * 512 * 512
"""Pixels that one call decodes, at the least one picture: about as much work as half a full tick."""


def quick_rows(latent_pixels: int, gpu_latents: int | None) -> int:
    """Rows of a call that has all the memory it wants; eight (a guided grid of four) at the least.

    On a GPU, which so many latent pixels fill, the power of two nearest to that: to one its calls are filled
    up anyway.
    """
    if gpu_latents is None:
        return CPU_ROWS
    return max(GRID_ROWS, 1 << round(math.log2(gpu_latents / latent_pixels)))
