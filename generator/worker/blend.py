"""Several pictures as one to begin from. PIL only."""

from __future__ import annotations

from collections.abc import Sequence

import PIL.Image
import PIL.ImageOps


def mean(images: Sequence[PIL.Image.Image], size: tuple[int, int]) -> PIL.Image.Image:
    """Each picture cut to the shape of `size` (width, height) about its middle, all laid on each other."""
    laid = fitted(images[0], size)
    for count, image in enumerate(images[1:], 2):
        laid = PIL.Image.blend(laid, fitted(image, size), 1 / count)
    return laid


def fitted(image: PIL.Image.Image, size: tuple[int, int]) -> PIL.Image.Image:
    """The picture in `size` (width, height): what its shape has too much is cut off on both sides."""
    return PIL.ImageOps.fit(image.convert("RGB"), size, PIL.Image.Resampling.LANCZOS)
