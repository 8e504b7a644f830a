"""Enlarging one picture two or four times, in tiles when it is large."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from generator.companions import enlargers
from generator.companions.enlargers import Enlarger
from generator.families.auxiliary import Companion, OnDevice, here
from generator.inspection.admission import admit

log = logging.getLogger(__name__)

TILE = 256
SMALLEST_TILE = 64
OVERLAP = 32
"""Pixels that neighbouring tiles share; they are blended there, and their outermost quarter is dropped."""

MEETING = 32
"""Pixels of the opposite edge that are seen beyond each edge where the two meet."""

ALIGN = 16
"""Tiles begin at multiples of this, so that a network of windows cuts them as it would cut the whole."""


class Upscaler(Companion):
    """A network that enlarges, in full precision, as often as it takes."""

    _network: Enlarger

    def __init__(self, network: Enlarger, device: torch.device, on_device: OnDevice = here) -> None:
        super().__init__(network, device, on_device)
        self._tile = TILE

    @classmethod
    def load(cls, source: str, device: torch.device, on_device: OnDevice = here) -> Self:
        admit("upscaler", source, "upscalers")
        return cls(enlargers.load(source), device, on_device)

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
        size = (image.width * scale, image.height * scale)
        passes = next(count for count in itertools.count(1) if self._network.times**count >= scale)
        for done in range(passes):
            image = self._passed(image, partial(_part_of, on_progress or _silent, done, passes))
        return image if image.size == size else image.resize(size, PIL.Image.Resampling.LANCZOS)

    def _passed(self, image: PIL.Image.Image, on_progress: Callable[[float], None]) -> PIL.Image.Image:
        """The picture as many times larger as the network makes it."""
        pixels = self._framed(np.asarray(image.convert("RGB"), np.float32) / 255)
        while True:
            try:
                enlarged = self._enlarged(pixels, self._tile, on_progress)
                break
            except torch.OutOfMemoryError:
                if self._tile <= SMALLEST_TILE:
                    raise
                self._tile //= 2
                log.warning("out of memory while enlarging; tiles of %d pixels from now on", self._tile)
        times = self._network.times
        frame = self._network.window * times
        inner = enlarged[:, frame:, frame:][:, : image.height * times, : image.width * times]
        values = (inner.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1).numpy()
        return PIL.Image.fromarray(values)

    def _framed(self, pixels: np.ndarray[Any, Any]) -> Tensor:
        """(height, width, 3) as (3, …), mirrored outwards by a window and filled up to whole windows.

        A network's convolutions take what lies outside for black, which would darken the picture's border.
        """
        # Networks of windows want whole windows; others do not mind.
        window = self._network.window
        sides = [(window, window + -length % window) for length in pixels.shape[:2]]
        return torch.from_numpy(np.pad(pixels, [*sides, (0, 0)], mode="symmetric")).movedim(-1, 0)

    def _enlarged(self, pixels: Tensor, tile: int, on_progress: Callable[[float], None]) -> Tensor:
        """(3, height, width) in 0…1 to `times` that, each tile faded into its neighbours."""
        _, height, width = pixels.shape
        times = self._network.times
        lines, columns = list(spans(height, tile)), list(spans(width, tile))
        result = torch.zeros(3, height * times, width * times)
        weight = torch.zeros(height * times, width * times)
        tiles = list(itertools.product(lines, columns))
        for done, (line, column) in enumerate(tiles, 1):
            piece = pixels[:, line, column]
            enlarged = self._on_device(lambda piece=piece: self._predict(piece))  # type: ignore[misc]
            fade = _fade(line, height, times)[:, None] * _fade(column, width, times)[None, :]
            place = (_enlarged_span(line, times), _enlarged_span(column, times))
            result[:, *place] += enlarged * fade
            weight[place] += fade
            on_progress(done / len(tiles))
        return result / weight

    @torch.inference_mode()
    def _predict(self, pixels: Tensor) -> Tensor:
        output: Tensor = self._network(pixels[None].to(self._device))[0]
        return output.float().cpu()


def spans(side: int, tile: int) -> Iterator[slice]:
    """Overlapping slices of about `tile` pixels that cover a side; one for a side no longer than a tile."""
    begin = 0
    while side - begin > tile:
        yield slice(begin, begin + tile)
        # The last one reaches back rather than being a sliver.
        begin = min(begin + tile - OVERLAP, -(-(side - tile) // ALIGN) * ALIGN)
    yield slice(begin, side)


def _fade(span: slice, side: int, times: int) -> Tensor:
    """(enlarged pixels,) weights of a tile along one side: 1 inside, falling to 0 towards its neighbours."""
    length, ramp = (span.stop - span.start) * times, OVERLAP * times
    quarter = ramp // 4
    rise = ((torch.arange(ramp) + 0.5 - quarter) / (ramp - 2 * quarter)).clamp(0, 1)
    weights = torch.ones(length)
    if span.start > 0:
        weights[:ramp] *= rise
    if span.stop < side:
        weights[length - ramp :] *= rise.flip(0)
    return weights


def _enlarged_span(span: slice, times: int) -> slice:
    return slice(span.start * times, span.stop * times)


def _part_of(on_progress: Callable[[float], None], done: int, passes: int, fraction: float) -> None:
    on_progress((done + fraction) / passes)


def _silent(fraction: float) -> None:
    del fraction
