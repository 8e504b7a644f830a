"""A light second diffusion of an enlarged picture: detail that no enlarging has. NumPy and Pillow only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image

from storage.catalog_values import Size
from storage.contract import GenerationRequest, Task

LARGEST = 2
"""Times a model's own side: in larger pictures it would begin to draw everything twice."""

MOST_GUIDANCE = 1.5
"""Guidance of words: what they name is there already, and must not be drawn in each part of it."""

OVERLAP = 1 / 4
"""Part of a piece's side in which it fades into its neighbour."""

ALIGN = 8


class Tile(NamedTuple):
    """One image-to-image job: a part of the picture, or all of it."""

    request: GenerationRequest
    image: PIL.Image.Image


Draw = Callable[[Sequence[Tile]], Sequence[PIL.Image.Image]]
Indices = np.ndarray[tuple[int], np.dtype[np.intp]]


def tiled_img2img(
    image: PIL.Image.Image, request: GenerationRequest, sizes: Sequence[Size], draw: Draw
) -> PIL.Image.Image:
    """The picture drawn over at `request.creativity`, in pieces where it is larger than the model can take.

    `sizes` are those that the model was made for.
    """
    pixels = _aligned(np.asarray(image.convert("RGB"), np.float32))
    height, width = pixels.shape[:2]
    own = max(width * height for width, height in sizes)
    side = LARGEST * math.isqrt(own) // ALIGN * ALIGN
    cut = max(width, height) > side
    strength = request.creativity * _share(min(width, side) * min(height, side), own)
    # A piece has borders of its own; a picture that tiles is then cut all around instead.
    around = request.tile and cut
    places = list(itertools.product(_cuts(height, side, around), _cuts(width, side, around)))
    pieces = [
        Tile(
            _piece_of(request, index, (len(columns), len(lines)), cut, strength),
            _cropped(pixels, lines, columns),
        )
        for index, (lines, columns) in enumerate(places)
    ]
    result, weight = np.zeros_like(pixels), np.zeros((height, width, 1), np.float32)
    for (lines, columns), drawn in zip(places, draw(pieces), strict=True):
        fade = (_fade(len(lines))[:, None] * _fade(len(columns))[None, :])[..., None]
        result[np.ix_(lines, columns)] += np.asarray(drawn, np.float32) * fade
        weight[np.ix_(lines, columns)] += fade
    values = (result / weight).round().astype(np.uint8)
    return PIL.Image.fromarray(values[: image.height, : image.width])


def _aligned(pixels: np.ndarray) -> np.ndarray:
    """Filled up at the right and below, as latents need it."""
    missing = [(0, -side % ALIGN) for side in pixels.shape[:2]]
    return np.pad(pixels, [*missing, (0, 0)], mode="edge")


def _share(pixels: int, own: int) -> float:
    """Share of the strength for a piece that has more pixels than the model's own pictures.

    A model draws things at the size that it knows: at one strength, a picture of twice the size is torn into
    things of half the size. So large pieces keep their forms, and what is drawn anew is finer than they.
    """
    return min(1.0, math.sqrt(own / pixels))


def _piece_of(
    request: GenerationRequest, index: int, size: Size, cut: bool, strength: float
) -> GenerationRequest:
    return request.changed(
        task=Task.IMAGE_TO_IMAGE,
        width=size[0],
        height=size[1],
        strength=strength,
        guidance_scale=min(request.guidance_scale, MOST_GUIDANCE),
        seed=request.seed_of(index),
        num_images_per_prompt=1,
        tile=request.tile and not cut,
        # All pieces are one picture: none has chances or words of its own, and none stops halfway.
        chaos=0,
        weird=0,
        sameseed=False,
        stop=100,
    )


def _cropped(pixels: np.ndarray, lines: Indices, columns: Indices) -> PIL.Image.Image:
    return PIL.Image.fromarray(pixels[np.ix_(lines, columns)].astype(np.uint8))


def _cuts(side: int, piece: int, around: bool) -> Iterator[Indices]:
    """Overlapping runs of pixels of one length that cover a side, or a circle of that many pixels."""
    piece = min(piece, side)
    step = piece - int(piece * OVERLAP)
    if around:
        count = math.ceil(side / step)
        begins = [round(index * side / count) for index in range(count)]
    else:
        count = 1 + math.ceil((side - piece) / step)
        begins = [round(index * (side - piece) / max(1, count - 1)) for index in range(count)]
    return ((begin + np.arange(piece)) % side for begin in begins)


def _fade(length: int) -> np.ndarray:
    """(length,) weights: 1 inside, falling towards both ends, and never 0."""
    ramp = (np.arange(length, dtype=np.float32) + 1) / max(1, int(length * OVERLAP))
    return np.minimum(1, ramp) * np.minimum(1, ramp[::-1])
