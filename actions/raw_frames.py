"""First frames as their decoders leave them, for formats whose decoder gives a whole picture at once.

Pillow would keep each once more, at four bytes a pixel, before anything of it could be made smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import PIL.Image
from pi_heif import HeifFile
from PIL import _avif, _webp

_CHOSEN_CODEC = "auto"
_THREADS = 1
"""Each more takes memory of its own."""
_TRANSPARENT = 1.5
"""Times as much as the same without an alpha channel, at most, where that is a plane of its own."""


@dataclass(frozen=True)
class RawFrame:
    """Pixels in rows of `stride` bytes, in Pillow's raw mode `raw`. `owner` keeps them in memory."""

    mode: str
    raw: str
    size: tuple[int, int]
    stride: int
    data: Any
    owner: object = None

    @property
    def width(self) -> int:
        return self.size[0]

    @property
    def height(self) -> int:
        return self.size[1]

    def crop(self, box: tuple[int, int, int, int]) -> PIL.Image.Image:
        """The rows of a box that is as wide as the picture."""
        _, top, _, bottom = box
        rows = memoryview(self.data)[top * self.stride : bottom * self.stride]
        size = (self.width, bottom - top)
        return PIL.Image.frombytes(self.mode, size, rows, "raw", self.raw, self.stride)


def _heif_frame(data: bytes) -> RawFrame:
    file = HeifFile(data, remove_stride=False)
    pixels = file.data
    return RawFrame(file.mode, file.mode, file.size, file.stride, pixels, owner=file)


def _avif_frame(data: bytes) -> RawFrame:
    decoder = _avif.AvifDecoder(data, _CHOSEN_CODEC, _THREADS)
    size, _, mode, *_ = decoder.get_info()
    return RawFrame(mode, mode, size, size[0] * len(mode), decoder.get_frame(0)[0])


def _webp_frame(data: bytes) -> RawFrame:
    decoder = _webp.WebPAnimDecoder(data)
    size, _, _, _, raw = decoder.get_info()
    return RawFrame(raw.replace("X", ""), raw, size, size[0] * len(raw), decoder.get_next()[0])


Layout = tuple[int, int | None]
"""Bits of a channel, and the sampling of its chroma (None: grey)."""


def _layout(data: bytes) -> Layout | None:
    """As the header of a HEIC or an AVIF says, which are one container; None where libheif cannot read it."""
    try:
        info = HeifFile(data).info
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError):
        return None
    return info["bit_depth"], info.get("chroma")


@dataclass(frozen=True)
class Decoder:
    """Decoder of whole pictures, and the bytes that it takes for a pixel at its peak, as measured."""

    read: Callable[[bytes], RawFrame]
    most: float
    usual: Mapping[Layout, float] = field(default_factory=dict)
    """Of pictures as most programs write them."""
    copies: int = 1
    """Of the file, beside the one that it is given."""

    def peak(self, data: bytes, *, transparent: bool) -> float:
        """Bytes of a pixel of this file."""
        if not self.usual:
            return self.most
        usual = self.usual.get(layout, self.most) if (layout := _layout(data)) else self.most
        return usual * (_TRANSPARENT if transparent else 1)


DECODERS: Mapping[str | None, Decoder] = {
    "HEIF": Decoder(_heif_frame, 16, {(8, None): 5, (8, 420): 5, (10, 420): 8}),
    # With film grain, which doubles what is decoded.
    "AVIF": Decoder(_avif_frame, 18, {(8, None): 9.5, (8, 420): 9.5, (10, 420): 12.5}),
    "WEBP": Decoder(_webp_frame, 13, copies=4),
}
"""By Pillow's name of the format."""
