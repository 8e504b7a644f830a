"""Old pixels laid back around what is drawn anew, which leaves them alone. NumPy and Pillow only."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
from numpy.lib.stride_tricks import sliding_window_view

Mask = np.ndarray[tuple[int, int], np.dtype[Any]]

TONE = 32
"""Levels of 255 by which old and new may differ and still show the same thing."""

LATENT = 8
"""Pixels along a latent of most models."""


def feather(size: tuple[int, int]) -> int:
    """Pixels beyond a mask's border, in a picture of `size`, in which old and new are mixed."""
    return max(LATENT, min(size) // 24)


def soft_feather(size: tuple[int, int]) -> int:
    """The same around a region that is drawn into the middle of a picture."""
    return 2 * feather(size)


def grow_mask(mask: PIL.Image.Image) -> PIL.Image.Image:
    """The mask (white is drawn anew) a little larger: the model draws below the feather too.

    So what it makes of the border is never seen, and a latent that the mask only touches is drawn.
    """
    return grown(mask, feather(mask.size))


def soft_mask(mask: PIL.Image.Image) -> PIL.Image.Image:
    """The mask of a region, falling to black at its feather's end.

    The engine draws what is grey in the last part of its steps alone, by when old and new have met.
    """
    return _feathered(mask, soft_feather(mask.size))


def grown(mask: PIL.Image.Image, reach: int) -> PIL.Image.Image:
    """The mask with everything white that is at most `reach` pixels from white, in lines or columns."""
    return PIL.Image.fromarray(_grown(_white(mask), reach))


def composite(
    drawn: PIL.Image.Image, source: PIL.Image.Image, mask: PIL.Image.Image, *, soft: bool = False
) -> PIL.Image.Image:
    """`drawn` where the mask is white, `source` beyond its feather, and there to the last bit.

    `soft`: the feather is a region's.
    """
    nearest, lanczos = PIL.Image.Resampling.NEAREST, PIL.Image.Resampling.LANCZOS
    if source.size != drawn.size:
        source = source.resize(drawn.size, lanczos)
    if mask.size != drawn.size:
        mask = mask.resize(drawn.size, nearest)
    source = source.convert("RGB")
    reach = soft_feather(mask.size) if soft else feather(mask.size)
    return PIL.Image.composite(_toned(drawn, source, mask), source, _feathered(mask, reach))


def _toned(drawn: PIL.Image.Image, source: PIL.Image.Image, mask: PIL.Image.Image) -> PIL.Image.Image:
    """`drawn` with its colours led over to the source's, as far as both show the same beside the border.

    A sky that goes on a little lighter would show every border, however soft.
    """
    white = _white(mask)
    beside = (_grown(white, LATENT) > white).astype(np.float32)[..., None]
    new = np.asarray(drawn.convert("RGB"), np.float32)
    shift = np.asarray(source, np.float32) - new
    alike = np.exp(-np.square(shift / TONE).max(axis=-1, keepdims=True)) * beside
    width = min(mask.size) / 8
    weight = _spread(alike, width)
    lead = np.minimum(1, weight / max(weight.max() / 2, 1e-6))
    toned = new + lead * _spread(shift * alike, width) / np.maximum(weight, 1e-6)
    return PIL.Image.fromarray(toned.clip(0, 255).round().astype(np.uint8))


def _spread(values: np.ndarray[Any, Any], width: float) -> np.ndarray[Any, Any]:
    """(height, width, n) blurred by a Gaussian of so many pixels, black beyond the edges."""
    shape = [side + int(3 * width) for side in values.shape[:2]]
    lines, columns = (np.exp(-2 * np.square(np.pi * width * np.fft.fftfreq(side))) for side in shape)
    kernel = lines[:, None, None] * columns[None, : shape[1] // 2 + 1, None]
    spectrum = np.fft.rfft2(values, shape, axes=(0, 1)) * kernel
    blurred: np.ndarray[Any, Any] = np.fft.irfft2(spectrum, shape, axes=(0, 1))
    return blurred[: values.shape[0], : values.shape[1]]


def _feathered(mask: PIL.Image.Image, reach: int) -> PIL.Image.Image:
    """255 where the mask is white, falling to 0 at the end of `reach` pixels."""
    half = reach // 2
    values = np.pad(_grown(_white(mask), half).astype(np.float32), half, mode="edge")
    for axis in (0, 1):
        values = sliding_window_view(values, 2 * half + 1, axis=axis).mean(axis=-1)
    return PIL.Image.fromarray(values.round().astype(np.uint8))


def _white(mask: PIL.Image.Image) -> Mask:
    return np.where(np.asarray(mask.convert("L")) >= 128, 255, 0).astype(np.uint8)


def _grown(mask: Mask, reach: int) -> Mask:
    mask = np.pad(mask, reach)
    for axis in (0, 1):
        mask = sliding_window_view(mask, 2 * reach + 1, axis=axis).max(axis=-1)
    return mask
