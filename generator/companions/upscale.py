"""Enlarging one picture two or four times, in tiles when it is large."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from transformers import AutoModelForImageToImage

from generator import pretrained
from generator.families.auxiliary import Companion, OnDevice, here, reading
from generator.inspection.admission import admit
from storage.errors import CatalogError

log = logging.getLogger(__name__)

TIMES = 4
TILE = 256
SMALLEST_TILE = 64
OVERLAP = 32
"""Pixels that neighbouring tiles share; they are blended there, and their outermost quarter is dropped."""

MEETING = 32
"""Pixels of the opposite edge that are seen beyond each edge where the two meet."""

ALIGN = 16
"""Tiles begin at multiples of this, so that a network of windows cuts them as it would cut the whole."""


class Upscaler(Companion):
    """A transformers image-to-image network that enlarges four times (Swin2SR), in full precision."""

    def __init__(self, network: Any, device: torch.device, on_device: OnDevice = here) -> None:
        if network.config.upscale != TIMES:
            name = network.config.name_or_path
            raise CatalogError(f"The upscaler {name} enlarges {network.config.upscale} times, not four.")
        super().__init__(network, device, on_device)
        # Networks of windows want whole windows; others do not mind.
        self._window = getattr(network.config, "window_size", 8)
        self._tile = TILE

    @classmethod
    def load(cls, source: str, device: torch.device, on_device: OnDevice = here) -> Self:
        admit("upscaler", source, "upscalers")
        with reading("upscaler", source):
            network = pretrained.network(AutoModelForImageToImage, source, dtype=torch.float32)
        return cls(network, device, on_device)

    def enlarge(
        self,
        image: PIL.Image.Image,
        scale: Literal[2, 4],
        on_progress: Callable[[float], None] | None = None,
        *,
        wrapped: bool = False,
    ) -> PIL.Image.Image:
        """The picture `scale` times larger; if `wrapped`, opposite edges go on meeting.

        What `on_progress` (told 0–1 after each tile) raises stops it.
        """
        if wrapped:
            wide = np.pad(np.asarray(image.convert("RGB")), [(MEETING, MEETING)] * 2 + [(0, 0)], mode="wrap")
            enlarged_wide = self.enlarge(PIL.Image.fromarray(wide), scale, on_progress)
            begin = MEETING * scale
            return enlarged_wide.crop(
                (begin, begin, begin + image.width * scale, begin + image.height * scale)
            )
        pixels = self._framed(np.asarray(image.convert("RGB"), np.float32) / 255)
        while True:
            try:
                enlarged = self._enlarged(pixels, self._tile, on_progress or _silent)
                break
            except torch.OutOfMemoryError:
                if self._tile <= SMALLEST_TILE:
                    raise
                self._tile //= 2
                log.warning("out of memory while enlarging; tiles of %d pixels from now on", self._tile)
        frame = self._window * TIMES
        inner = enlarged[:, frame:, frame:][:, : image.height * TIMES, : image.width * TIMES]
        values = (inner.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1).numpy()
        four_times = PIL.Image.fromarray(values)
        if scale == TIMES:
            return four_times
        size = (image.width * scale, image.height * scale)
        return four_times.resize(size, PIL.Image.Resampling.LANCZOS)

    def _framed(self, pixels: np.ndarray[Any, Any]) -> Tensor:
        """(height, width, 3) as (3, …), mirrored outwards by a window and filled up to whole windows.

        A network's convolutions take what lies outside for black, which would darken the picture's border.
        """
        sides = [(self._window, self._window + -length % self._window) for length in pixels.shape[:2]]
        return torch.from_numpy(np.pad(pixels, [*sides, (0, 0)], mode="symmetric")).movedim(-1, 0)

    def _enlarged(self, pixels: Tensor, tile: int, on_progress: Callable[[float], None]) -> Tensor:
        """(3, height, width) in 0…1 to four times that, each tile faded into its neighbours."""
        _, height, width = pixels.shape
        lines, columns = list(spans(height, tile)), list(spans(width, tile))
        result = torch.zeros(3, height * TIMES, width * TIMES)
        weight = torch.zeros(height * TIMES, width * TIMES)
        tiles = list(itertools.product(lines, columns))
        for done, (line, column) in enumerate(tiles, 1):
            piece = pixels[:, line, column]
            enlarged = self._on_device(lambda piece=piece: self._predict(piece))  # type: ignore[misc]
            fade = _fade(line, height)[:, None] * _fade(column, width)[None, :]
            place = (_times(line), _times(column))
            result[:, *place] += enlarged * fade
            weight[place] += fade
            on_progress(done / len(tiles))
        return result / weight

    @torch.inference_mode()
    def _predict(self, pixels: Tensor) -> Tensor:
        output: Tensor = self._network(pixels[None].to(self._device)).reconstruction[0]
        return output.float().cpu()


def spans(side: int, tile: int) -> Iterator[slice]:
    """Overlapping slices of about `tile` pixels that cover a side; one for a side no longer than a tile."""
    begin = 0
    while side - begin > tile:
        yield slice(begin, begin + tile)
        # The last one reaches back rather than being a sliver.
        begin = min(begin + tile - OVERLAP, -(-(side - tile) // ALIGN) * ALIGN)
    yield slice(begin, side)


def _fade(span: slice, side: int) -> Tensor:
    """(enlarged pixels,) weights of a tile along one side: 1 inside, falling to 0 towards its neighbours."""
    length, ramp = (span.stop - span.start) * TIMES, OVERLAP * TIMES
    quarter = ramp // 4
    rise = ((torch.arange(ramp) + 0.5 - quarter) / (ramp - 2 * quarter)).clamp(0, 1)
    weights = torch.ones(length)
    if span.start > 0:
        weights[:ramp] *= rise
    if span.stop < side:
        weights[length - ramp :] *= rise.flip(0)
    return weights


def _times(span: slice) -> slice:
    return slice(span.start * TIMES, span.stop * TIMES)


def _silent(fraction: float) -> None:
    del fraction
