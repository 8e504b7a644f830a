"""The movie of a grid that forms: what the model took the pictures to be, step by step, and then the grid.

The frames before the last are the cheap previews (`preview.py`) and not decoded pictures: to decode forty
grids would keep everybody else waiting for longer than the drawing took.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import PIL.Image

from generator.companions.safety import SafetyCheck
from generator.engine.running_job import Images, Progress
from storage import image_encoding

FRAMES = 40
LONGEST_SIDE = 1100
"""Pixels of a frame: four pictures of 512 pixels."""
FRAME_MS, LAST_MS = 120, 2500


class Movie:
    """Looks at every step of one job; `progressed` is called on one thread and the rest on another."""

    def __init__(self) -> None:
        self._previews: list[Callable[[], Images]] = []

    def progressed(self, progress: Progress) -> None:
        """Keep what there is of this step, if a frame is due."""
        due = math.ceil(progress.fraction * (FRAMES - 1) - 1e-6)
        if progress.preview is not None and due > len(self._previews):
            self._previews.append(progress.preview)

    def webp(
        self, finished: Sequence[PIL.Image.Image], check: SafetyCheck, exif: bytes = b""
    ) -> bytes | None:
        """An animated WebP that ends with the grid; None where the check lets nothing of it be seen."""
        frames = [_frame(images) for images in self._seen(finished, check)]
        return image_encoding.webp_movie(frames, FRAME_MS, LAST_MS, exif) if frames else None

    def _seen(self, finished: Sequence[PIL.Image.Image], check: SafetyCheck) -> Iterator[Images]:
        """The pictures of each frame, up to the first that the check stops."""
        size = finished[0].size
        for images in (*(preview() for preview in self._previews), list(finished)):
            if any(verdict.unsafe for verdict in check.check(images)):
                return
            yield [image.resize(size, PIL.Image.Resampling.BICUBIC) for image in images]


def _frame(images: Sequence[PIL.Image.Image]) -> PIL.Image.Image:
    grid = image_encoding.grid(images)
    grid.thumbnail((LONGEST_SIDE, LONGEST_SIDE), PIL.Image.Resampling.LANCZOS)
    return grid
