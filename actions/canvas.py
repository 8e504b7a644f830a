"""Sheet and mask of a zoom, a pan or a region: the picture laid on a larger sheet, the mask of what is new.

Sizes are (width, height) in pixels, boxes (left, top, right, bottom). In a mask white is drawn anew and black
is kept. What lies around the picture is filled with its stretched edges, for a drawing to begin with.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from PIL import Image, ImageChops, ImageFilter

from storage.catalog_model import ModelEntry
from storage.catalog_values import Size
from storage.contract import LARGEST_REGION, SMALLEST_REGION
from storage.errors import Refused

Box = tuple[int, int, int, int]

GROWTH = 1.5
"""Factor by which a pan makes the side longer that it goes along."""
SMALLEST_GROWTH = 1.2
"""Least factor: where a sheet may not grow so much, a pan moves the picture on one of its own size."""
SHIFT = 0.5
"""The part of the side by which it then moves."""
MOST_PIXELS = 2.0
"""Times a model's own pixels that a pan or Make Square may make: up to there the old ones keep their size."""
ALIGN = 8
"""Pixels along a latent of most models."""
DIFFERENT = 24
"""Levels of 255 by which a painted pixel differs at least: a photograph's compression stays below."""
RATIO_TOLERANCE = 0.02
BLACK_AND_WHITE = 0.95
"""The part of a mask that is one or the other; the rest is soft borders."""
_LONGEST_COMPARED = 1024

_LANCZOS = Image.Resampling.LANCZOS
_NEAREST = Image.Resampling.NEAREST


class NothingToDraw(Refused):
    """The picture covers its whole sheet."""


class RegionEmpty(Refused):
    """Neither words, nor a place, nor a painted copy say where."""

    def __init__(self, *, finds: bool = False) -> None:
        super().__init__("no region")
        self.finds = finds
        """True if the model finds what words name."""


class RegionTooSmall(Refused):
    """Next to nothing differs in the painted copy."""


class RegionTooLarge(Refused):
    """Next to nothing of the picture would stay."""


class PaintedShape(Refused):
    """A painted copy that is not of the picture's shape."""

    def __init__(self, given: Size, wanted: Size) -> None:
        super().__init__(f"{given} for {wanted}")
        self.given, self.wanted = given, wanted


class Direction(Enum):
    """Side to which new picture is drawn; the value is a step in x and y."""

    LEFT = (-1, 0)
    RIGHT = (1, 0)
    UP = (0, -1)
    DOWN = (0, 1)


@dataclass(frozen=True)
class Canvas:
    """A sheet and where the picture lies on it, which may be partly beyond its edges."""

    size: Size
    box: Box

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if left <= 0 and top <= 0 and right >= self.size[0] and bottom >= self.size[1]:
            raise NothingToDraw

    def compose(self, image: Image.Image) -> tuple[Image.Image, Image.Image]:
        """The sheet with the picture on it (RGB), and its mask (L)."""
        left, top, right, bottom = self.box
        placed = image.convert("RGB").resize((right - left, bottom - top), _LANCZOS)
        sheet = _stretched(placed, self.box, self.size)
        sheet.paste(placed, (left, top))
        mask = Image.new("L", self.size, 255)
        mask.paste(0, self.box)
        return sheet, mask


def zoomed(image: Size, size: Size, factor: float) -> Canvas:
    """The picture in the middle of a sheet, as large as that allows, and `factor` times smaller than that.

    Raises:
        NothingToDraw: it covers the sheet.
    """
    scale = min(size[0] / image[0], size[1] / image[1]) / factor
    width, height = (max(1, round(side * scale)) for side in image)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return Canvas(size, (left, top, left + width, top + height))


def panned(image: Size, entry: ModelEntry, direction: Direction) -> Canvas:
    """The picture, as large as it is, at one side of a sheet that is longer in the other direction.

    No sheet is longer for its width than the longest that the model draws: where it would be, the picture
    moves on a sheet of its own size.
    """
    x, y = direction.value
    along, across = image if x else image[::-1]
    longest = max(1 / squareness(size) for size in entry.sizes)
    longer = min(along * GROWTH, across * longest)
    if longer < SMALLEST_GROWTH * along:
        left, top = -round(x * SHIFT * image[0]), -round(y * SHIFT * image[1])
        return Canvas(image, (left, top, left + image[0], top + image[1]))
    size = _bounded((longer, across) if x else (across, longer), entry)
    scale = size[1] / image[1] if x else size[0] / image[0]
    width, height = (round(image[0] * scale), size[1]) if x else (size[0], round(image[1] * scale))
    left = size[0] - width if direction is Direction.LEFT else 0
    top = size[1] - height if direction is Direction.UP else 0
    return Canvas(size, (left, top, left + width, top + height))


def squared(image: Size, entry: ModelEntry) -> Canvas:
    """The picture, as large as it is, in the middle of a square."""
    side = max(image)
    return zoomed(image, _bounded((side, side), entry), 1.0)


def squareness(size: Size) -> float:
    """The shorter side in longer ones; 1 for a square."""
    return min(size) / max(size)


def _bounded(size: tuple[float, float], entry: ModelEntry) -> Size:
    """The size, or the largest of its shape that has `MOST_PIXELS`."""
    own = max(width * height for width, height in entry.sizes)
    scale = min(1.0, math.sqrt(MOST_PIXELS * own / (size[0] * size[1])))
    width, height = (max(ALIGN, int(side * scale) // ALIGN * ALIGN) for side in size)
    return width, height


def _stretched(placed: Image.Image, box: Box, size: Size) -> Image.Image:
    """A sheet on which the edges of `placed`, which lies in `box`, are drawn out to its borders, softly."""
    columns = _bands(box[0], box[2], size[0], placed.width)
    lines = _bands(box[1], box[3], size[1], placed.height)
    sheet = Image.new("RGB", size)
    for (x, width), (from_x, to_x) in columns:
        for (y, height), (from_y, to_y) in lines:
            part = placed.resize((width, height), _NEAREST, (from_x, from_y, to_x, to_y))
            sheet.paste(part, (x, y))
    return _softened(sheet, box)


def _softened(sheet: Image.Image, box: Box) -> Image.Image:
    """The sheet blurred, and the more the further from the box: no stripe runs from it to the border."""
    softened = sheet.filter(ImageFilter.GaussianBlur(max(sheet.size) / 32))
    for part in (16, 8, 4):
        reach = max(sheet.size) / part
        beyond = Image.new("L", sheet.size, 255)
        beyond.paste(0, _widened(box, round(reach)))
        blurred = softened.filter(ImageFilter.GaussianBlur(reach))
        softened.paste(blurred, mask=beyond.filter(ImageFilter.GaussianBlur(reach / 2)))
    return softened


def _widened(box: Box, reach: int) -> Box:
    left, top, right, bottom = box
    return left - reach, top - reach, right + reach, bottom + reach


def _bands(begin: int, end: int, side: int, length: int) -> list[tuple[Size, Size]]:
    """Before, within and after the picture along one side: (offset, length) on the sheet, and its pixels."""
    bands: list[tuple[Size, Size]] = []
    if begin > 0:
        bands.append(((0, begin), (0, 1)))
    first, last = max(begin, 0), min(end, side)
    bands.append(((first, last - first), (first - begin, last - begin)))
    if end < side:
        bands.append(((end, side - end), (length - 1, length)))
    return bands


def region(size: Size, places: Collection[int], painted: Image.Image | None) -> Image.Image:
    """The mask (L) of a picture of this size: ninths of it, counted from 1 line by line, and what is painted.

    Raises:
        RegionEmpty: there is neither.
        RegionTooSmall, RegionTooLarge
    """
    if not places and painted is None:
        raise RegionEmpty
    mask = Image.new("L", size, 0) if painted is None else _solid(painted.resize(size, _LANCZOS))
    for place in places:
        line, column = divmod(place - 1, 3)
        mask.paste(255, _ninth(size, column, line))
    part = white_part(mask)
    if part < SMALLEST_REGION:
        raise RegionTooSmall
    if part > LARGEST_REGION:
        raise RegionTooLarge
    return mask


def _ninth(size: Size, column: int, line: int) -> Box:
    (width, height) = size
    return (
        column * width // 3,
        line * height // 3,
        (column + 1) * width // 3,
        (line + 1) * height // 3,
    )


def _solid(mask: Image.Image) -> Image.Image:
    return mask.point(lambda level: 255 if level >= 128 else 0)


def white_part(mask: Image.Image) -> float:
    """Share of a black and white mask (L) that is white, 0–1."""
    return mask.histogram()[255] / (mask.width * mask.height)


def painted_over(original: Image.Image, painted: Image.Image) -> Image.Image:
    """The mask (L) of where a painted copy differs from the picture, in at most 1024 pixels a side.

    Single pixels and thin lines, by which copies differ that were only saved again, are not counted. What is
    painted in black and white alone is a mask itself, and white where the picture is to be drawn anew.

    Raises:
        PaintedShape: the copy is of another shape.
    """
    if abs(painted.width * original.height / (painted.height * original.width) - 1) > RATIO_TOLERANCE:
        raise PaintedShape(painted.size, original.size)
    scale = min(1.0, _LONGEST_COMPARED / max(painted.size))
    size = (max(1, round(painted.width * scale)), max(1, round(painted.height * scale)))
    both = [image.convert("RGB").resize(size, _LANCZOS) for image in (original, painted)]
    if is_mask(both[1]) and not is_mask(both[0]):
        return _solid(both[1].convert("L"))
    most = _lightest(ImageChops.difference(*both))
    differs = most.point(lambda level: 255 if level > DIFFERENT else 0)
    return differs.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(5))


def is_mask(image: Image.Image) -> bool:
    """True if a picture (RGB) is painted in black and white alone."""
    black = sum(_lightest(image).histogram()[: DIFFERENT + 1])
    white = sum(_lightest(ImageChops.invert(image)).histogram()[: DIFFERENT + 1])
    return min(black, white) > 0 and black + white >= BLACK_AND_WHITE * image.width * image.height


def _lightest(image: Image.Image) -> Image.Image:
    """The highest of each pixel's channels (L)."""
    red, green, blue = image.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)
