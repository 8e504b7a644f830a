"""Styles and qualities: what is done to a finished drawing as a whole.

Textures repeat every eight or sixteen nominal pixels, the width of two latents, so that the autoencoder can
carry them. ``scale`` is the number of pixels for one nominal pixel.
"""

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

Floats = NDArray[np.float32]


def _grid(image: Image.Image, scale: float) -> tuple[Floats, Floats]:
    """Nominal x and y of every pixel of the picture."""
    y, x = np.mgrid[0 : image.height, 0 : image.width].astype(np.float32)
    return (x + np.float32(0.5)) / np.float32(scale), (y + np.float32(0.5)) / np.float32(scale)


def _array(image: Image.Image) -> Floats:
    return np.asarray(image, dtype=np.float32)


def _image(values: Floats) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _clouded(image: Image.Image, cells: int, rng: random.Random) -> Floats:
    """Smooth noise in -1..1 with about ``cells`` patches along the shorter side."""
    short = min(image.size)
    size = (max(2, cells * image.width // short), max(2, cells * image.height // short))
    coarse = Image.new("L", size)
    coarse.putdata([rng.randrange(256) for _ in range(size[0] * size[1])])
    smooth = coarse.resize(image.size, Image.Resampling.BICUBIC)
    return _array(smooth) / np.float32(127.5) - np.float32(1)


def _edges(image: Image.Image, reach: int) -> Floats:
    """Strength of the outlines, 0..1."""
    grey = image.convert("L").filter(ImageFilter.GaussianBlur(reach * 0.5))
    values = _array(grey)
    across = np.abs(np.roll(values, -reach, 1) - np.roll(values, reach, 1))
    down = np.abs(np.roll(values, -reach, 0) - np.roll(values, reach, 0))
    across[:, :reach] = across[:, -reach:] = 0
    down[:reach] = down[-reach:] = 0
    strength: Floats = np.clip((across + down - 18) / 80, 0, 1).astype(np.float32)
    return strength


def _illustration(image: Image.Image, _scale: float, _rng: random.Random) -> Image.Image:
    return image


def _watercolor(image: Image.Image, scale: float, rng: random.Random) -> Image.Image:
    """Pale blotched washes with dark rims, on paper that is left white along the border."""
    washed = _array(image.filter(ImageFilter.GaussianBlur(0.8 * scale)))
    rims = _edges(image, max(1, round(scale)))[..., None]
    blotches = _clouded(image, 7, rng)[..., None]
    paper = np.array([255, 252, 244], np.float32)
    washed = paper - (paper - washed) * (0.76 + 0.13 * blotches) * (1 + 0.16 * rims)
    x, y = _grid(image, scale)
    wide, high = image.width / scale, image.height / scale
    inset = np.minimum(np.minimum(x, wide - x), np.minimum(y, high - y))
    border = np.clip((inset - 4.5 - 2.5 * _clouded(image, 12, rng)) / 2.5, 0, 1)[..., None]
    return _image((paper + (washed - paper) * border).astype(np.float32))


def _pixel_art(image: Image.Image, scale: float, _rng: random.Random) -> Image.Image:
    """Blocks of four nominal pixels in a few strong colours."""
    block = 4 * scale
    size = (max(1, round(image.width / block)), max(1, round(image.height / block)))
    small = image.resize(size, Image.Resampling.BOX)
    small = ImageEnhance.Color(small).enhance(1.25).quantize(28, dither=Image.Dither.NONE).convert("RGB")
    return small.resize(image.size, Image.Resampling.NEAREST)


def _pencil(image: Image.Image, scale: float, _rng: random.Random) -> Image.Image:
    """Coloured pencil: slanted hatching on cream paper, with dark outlines."""
    x, y = _grid(image, scale)
    hatch = (0.5 + 0.5 * np.sin(2 * np.pi * (x + y) / 8))[..., None]
    paper = np.array([246, 242, 230], np.float32)
    pigment = _array(ImageEnhance.Color(image).enhance(0.9))
    drawn = paper + (pigment - paper) * (0.34 + 0.4 * hatch)
    lines = _edges(image, max(1, round(scale)))[..., None]
    drawn = drawn + (np.array([52, 50, 56], np.float32) - drawn) * lines * 0.8
    return _image(drawn.astype(np.float32))


def _oil(image: Image.Image, scale: float, rng: random.Random) -> Image.Image:
    """Thick curved strokes, deep colours."""
    x, y = _grid(image, scale)
    wave = np.sin(2 * np.pi * (x + 2 * y) / 16)
    shift_x = np.round((1.2 * wave + 1.6 * _clouded(image, 14, rng)) * scale).astype(np.int64)
    shift_y = np.round((1.2 * np.cos(2 * np.pi * (2 * x - y) / 16)) * scale).astype(np.int64)
    rows, columns = np.mgrid[0 : image.height, 0 : image.width]
    rows = np.clip(rows + shift_y, 0, image.height - 1)
    columns = np.clip(columns + shift_x, 0, image.width - 1)
    deep = ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(1.2)).enhance(1.08)
    painted = _array(deep)[rows, columns]
    ridges = np.sin(2 * np.pi * (x - y) / 16 + 1.2 * wave)[..., None]
    return _image((painted * np.array([1.0, 0.95, 0.86], np.float32) + 20 * ridges).astype(np.float32))


Treatment = Callable[[Image.Image, float, random.Random], Image.Image]

TREATMENTS: dict[str, Treatment] = {
    "illustration": _illustration,
    "watercolor": _watercolor,
    "pixel art": _pixel_art,
    "pencil": _pencil,
    "oil": _oil,
}
"""Functions that make each style of a drawing."""


def vivid(image: Image.Image) -> Image.Image:
    """Richer colours and more contrast."""
    return ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(1.5)).enhance(1.12)


def rays(image: Image.Image, centre: tuple[float, float], reach: float) -> Image.Image:
    """Pale gold beams of light that spread from a centre, given in pixels."""
    y, x = np.mgrid[0 : image.height, 0 : image.width].astype(np.float32)
    x, y = (x - centre[0]) / reach, (y - centre[1]) / reach
    far = np.sqrt(x * x + y * y)
    beams = np.clip(0.5 + 2.5 * np.sin(12 * np.arctan2(y, x)), 0, 1)
    strength = (np.exp(-1.2 * far) * (0.35 + 0.4 * beams))[..., None]
    values = _array(image)
    return _image((values + (np.array([255, 244, 190], np.float32) - values) * strength).astype(np.float32))


def vignette(image: Image.Image) -> Image.Image:
    """Dramatic light: bright in the middle, dark in the corners."""
    y, x = np.mgrid[0 : image.height, 0 : image.width].astype(np.float32)
    x, y = 2 * x / image.width - 1, 2 * y / image.height - 1
    fall = np.clip(1.1 - 0.42 * (x * x + y * y), 0.3, 1.1)[..., None]
    return _image((_array(image) * fall).astype(np.float32))
