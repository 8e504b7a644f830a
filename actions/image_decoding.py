"""A picture's file, of whatever kind a member has, made the pixels that are kept.

Large pictures are made smaller while they are decoded: a JPEG by its own decoder, all others strip by strip.
What would take more memory than the bot's budget has is refused.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pi_heif
import PIL.Image
from PIL import ImageOps
from PIL.ExifTags import Base
from PIL.JpegImagePlugin import JpegImageFile

from actions.memory_budget import PICTURES, PIXEL
from actions.raw_frames import DECODERS, RawFrame
from storage import foreign_files
from storage.errors import Refused
from storage.image_encoding import flattened

MOST_PIXELS = 50_000_000
"""Of a picture that is decoded whole."""
MOST_JPEG_PIXELS = 256_000_000
"""Of a JPEG, which may be decoded at a fraction of its size, but is read whole."""
LONGEST_SIDE = 2048
"""Pixels; a larger picture is made smaller."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "HEIF")
LEAST_PRESENT = 0.9
"""The part of its lines that a JPEG without its end has to have."""

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_JPEG_TRAILER = 64
"""Bytes that programs leave behind a JPEG's end, about."""
_SCAN = 0xDA
"""Marker of a JPEG's scan; behind its length stands the number of its components."""
_JPEG_COEFFICIENT = 2
_JPEG_MISSING = (128, 128, 128)
"""Grey that libjpeg draws where data is missing."""
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_DRAWN = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT"})
"""The chunks of a PNG by which it is drawn, and stands upright."""
_STRIP = 64
"""Lines, about."""
_STRIP_COPIES = 4
_FITTING = 0.9
"""The part of the pixels that would fit by their share that is named as the limit: more is taken too."""
_NARROW = {"1": 1, "L": 1, "P": 1, "I;16": 2}
"""Bytes of a pixel, where they are fewer than PIXEL."""

pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


class ImageRefused(Refused):
    """A picture that cannot be taken. `name`: the link or file that it is, where there may be several."""

    name: str | None = None


class TooManyPixels(ImageRefused):
    """More than `most`, which a picture of its kind may have."""

    def __init__(self, most: int = MOST_PIXELS) -> None:
        super().__init__(most)
        self.most = most


class NotAnImage(ImageRefused):
    """No file of FORMATS, or a broken one."""


def decode(data: bytes) -> PIL.Image.Image:
    """The file's first frame, upright, RGB (what is transparent is white), at most LONGEST_SIDE on a side.

    Waits until there is memory for it, and never takes more than the budget has.

    Raises:
        TooManyPixels, NotAPicture
    """
    cut = data.startswith(_JPEG_START) and _JPEG_END not in data[-_JPEG_TRAILER:]
    with foreign_files.reading(_refused), _opened(data + _JPEG_END if cut else data) as opened:
        whole = _pixels(opened)
        _draft(opened)
        _check_pixels(opened, whole)
        needed = _needed(opened, whole, data)
        _check_memory(needed, whole)
        with PICTURES.held(needed):
            return _as_kept(opened, data, cut=cut)


def _refused(error: Exception) -> ImageRefused:
    bombs = PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning
    return TooManyPixels() if isinstance(error, bombs) else NotAnImage()


@contextmanager
def stored(data: bytes, copies: int = 2) -> Iterator[PIL.Image.Image]:
    """A picture of the store, RGB; memory is held for it and for what is made of it, `copies` of its size."""
    with PIL.Image.open(io.BytesIO(data)) as opened, PICTURES.held(_pixels(opened) * PIXEL * (1 + copies)):
        yield opened.convert("RGB")


def _opened(data: bytes) -> PIL.Image.Image:
    """The file with its header read. Pillow's own limit of pixels is not asked about a JPEG, ours is."""
    if data.startswith(_JPEG_START):
        return JpegImageFile(io.BytesIO(data))
    return PIL.Image.open(io.BytesIO(_drawn_chunks(data)), formats=FORMATS)


def _drawn_chunks(data: bytes) -> bytes:
    """A PNG without what is not drawn, so that no profile or text is too large; other files as they are."""
    if not data.startswith(_PNG_START):
        return data
    file = memoryview(data)
    kept, place = [file[: len(_PNG_START)]], len(_PNG_START)
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", file, place)
        if name in _PNG_DRAWN:
            kept.append(file[place : place + 12 + length])
        place += 12 + length
    end = b"IEND"
    return b"".join([*kept, bytes(4), end, struct.pack(">I", zlib.crc32(end))])


def _pixels(image: PIL.Image.Image) -> int:
    return image.width * image.height


def _check_pixels(opened: PIL.Image.Image, whole: int) -> None:
    if _pixels(opened) > MOST_PIXELS or whole > MOST_JPEG_PIXELS:
        raise TooManyPixels(MOST_JPEG_PIXELS if isinstance(opened, JpegImageFile) else MOST_PIXELS)


def _draft(opened: PIL.Image.Image) -> None:
    """Have a large photo decoded at a fraction of its size, where that is still enough."""
    longest = max(opened.size)
    width, height = (max(1, side * LONGEST_SIDE // longest) for side in opened.size)
    opened.draft("RGB", (width, height))


def _check_memory(needed: int, whole: int) -> None:
    if needed > PICTURES.most:
        raise TooManyPixels(int(_FITTING * whole * PICTURES.most / needed))


def _needed(opened: PIL.Image.Image, whole: int, data: bytes) -> int:
    """About how many bytes it takes to decode the picture, which has `whole` pixels in its file."""
    size, factor = _pixels(opened), _factor(opened)
    strip = opened.width * min(opened.height, _lines(factor)) * _STRIP_COPIES
    made = PIXEL * (strip + size // factor**2 + LONGEST_SIDE**2)
    kept = size * _NARROW.get(opened.mode, PIXEL)
    if decoder := DECODERS.get(opened.format):
        # What it took is given back before anything is made of the frame.
        peak = decoder.peak(data, transparent=opened.has_transparency_data)
        return len(data) * decoder.copies + max(int(size * peak), kept + made)
    if isinstance(opened, JpegImageFile) and _is_read_whole(opened, data):
        kept += _coefficients(opened, whole)
    return len(data) + kept + made


def _is_read_whole(opened: JpegImageFile, data: bytes) -> bool:
    """True where libjpeg keeps the whole file's coefficients: progressive files, and colours in scans."""
    place = 2
    while "progressive" not in opened.info and data[place : place + 1] == b"\xff":
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker == _SCAN:
            return data[place + 4] < len(opened.layer)
        place += 1 if marker == 0xFF else 2 + length
    return "progressive" in opened.info


def _coefficients(opened: JpegImageFile, whole: int) -> int:
    """Bytes of all that such a JPEG is made of, in which colours may have fewer than brightness."""
    samples = [across * down for _, across, down, _ in opened.layer]
    return whole * sum(samples) // max(samples) * _JPEG_COEFFICIENT


def _lines(factor: int) -> int:
    return math.ceil(_STRIP / factor) * factor


def _factor(image: PIL.Image.Image | RawFrame) -> int:
    """By which it may be divided, and still is large enough."""
    return max(1, max(image.size) // LONGEST_SIDE)


def _as_kept(opened: PIL.Image.Image, data: bytes, *, cut: bool) -> PIL.Image.Image:
    orientation = opened.getexif().get(Base.Orientation, 1)
    decoder = DECODERS.get(opened.format)
    image = _in_strips(decoder.read(data) if decoder else opened)
    if cut:
        _check_present(image)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), PIL.Image.Resampling.LANCZOS)
    image.getexif()[Base.Orientation] = orientation
    upright = ImageOps.exif_transpose(image)
    upright.info.clear()
    return upright


def _in_strips(image: PIL.Image.Image | RawFrame) -> PIL.Image.Image:
    """The picture flattened, and divided by its factor: only a strip of it is there twice at full size."""
    factor = _factor(image)
    width, height = (math.ceil(side / factor) for side in image.size)
    sheet = PIL.Image.new("RGB", (width, height))
    lines = _lines(factor)
    for top in range(0, image.height, lines):
        strip = image.crop((0, top, image.width, min(top + lines, image.height)))
        sheet.paste(flattened(strip).reduce(factor), (0, top // factor))
    return sheet


def _check_present(image: PIL.Image.Image) -> None:
    """Raises:
    NotAPicture: too many lines at its end are missing.
    """
    last = image.crop((0, int(image.height * LEAST_PRESENT), image.width, image.height))
    if last.getcolors(1) == [(last.width * last.height, _JPEG_MISSING)]:
        raise NotAnImage
