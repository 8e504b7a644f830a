"""Picture files as members have them."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

QUARTERS = ("red", "lime", "blue", "yellow")
"""Top left, top right, bottom left, bottom right."""


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """A picture of which every corner has a colour of its own."""
    image = Image.new("RGB", (width, height))
    for index, colour in enumerate(QUARTERS):
        line, column = divmod(index, 2)
        half = Image.new("RGB", (width // 2, height // 2), colour)
        image.paste(half, (column * width // 2, line * height // 2))
    return image


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width: int = 64, height: int = 48, colour: str | None = None) -> bytes:
    return file(quarters(width, height) if colour is None else Image.new("RGB", (width, height), colour))


def jpeg(orientation: int = 1, width: int = 64, height: int = 48) -> bytes:
    """A photo as a phone keeps it; `orientation` is EXIF's, and with it come a place and a device."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a phone"
    exif.get_ifd(0x8825)[1] = "N"
    return file(quarters(width, height), "JPEG", exif=exif, quality=95)
