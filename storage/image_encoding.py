"""Pictures as files: their parameters in them, grids, veils, and files small enough to send."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo

from storage import metadata

BACKGROUND = (24, 25, 28)
WITHHELD = "Withheld by the safety check"
SMALLEST_LIMIT = 128
"""Bytes; a picture of one pixel always fits."""

_WEBP_SIDE = 16383
_WEBP_ANIMATED = 0b10
_WEBP_EXIF = 0b1000
_WEBP_OPAQUE = 0b10
"""A frame's pixels are laid over the last one's without blending."""
_RIFF_HEADER = 12
_LANCZOS = Image.Resampling.LANCZOS


def png_bytes(image: Image.Image, parameters: Mapping[str, str] | None = None) -> bytes:
    """A PNG with `parameters` as text chunks, which keep every character but NUL."""
    info = PngInfo()
    for key, value in (parameters or {}).items():
        text = value.replace("\0", "")
        if text.isascii():
            info.add_text(key, text)
        else:
            info.add_itxt(key, text)
    return _encode(image, "PNG", pnginfo=info)


def webp_bytes(image: Image.Image, quality: int = 80) -> bytes:
    """A small file for previews and thumbnails."""
    return _encode(image.convert("RGB"), "WEBP", quality=quality)


def webp_movie(frames: Sequence[Image.Image], frame_ms: int, last_ms: int, exif: bytes = b"") -> bytes:
    """Frames of one size as an animated WebP without end; the last one stays longer and loses nothing.

    Pillow would have all frames lossless or none, so the container is written here:
    https://developers.google.com/speed/webp/docs/riff_container
    """
    *forming, last = (frame.convert("RGB") for frame in frames)
    encoded = [(_encode(frame, "WEBP", quality=80), frame_ms) for frame in forming]
    encoded.append((_encode(last, "WEBP", lossless=True), last_ms))
    size = _bytes24(last.width - 1) + _bytes24(last.height - 1)
    chunks = [
        _riff(b"VP8X", bytes([_WEBP_ANIMATED | (_WEBP_EXIF if exif else 0), 0, 0, 0]) + size),
        _riff(b"ANIM", bytes(6)),
    ]
    for data, milliseconds in encoded:
        place = bytes(6) + size + _bytes24(milliseconds) + bytes([_WEBP_OPAQUE])
        chunks.append(_riff(b"ANMF", place + data[_RIFF_HEADER:]))
    if exif:
        chunks.append(_riff(b"EXIF", exif))
    return _riff(b"RIFF", b"WEBP" + b"".join(chunks))


def _riff(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def _bytes24(number: int) -> bytes:
    return number.to_bytes(3, "little")


def as_seen(image: Image.Image) -> Image.Image:
    """RGB, upright as its EXIF data says, on white where it is transparent."""
    return flattened(ImageOps.exif_transpose(image))


def flattened(image: Image.Image) -> Image.Image:
    """RGB, on white where it is transparent."""
    if image.mode.startswith("I"):
        # Sixteen bits a channel, of which `convert` would keep the lower eight.
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    on_white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    on_white.alpha_composite(image.convert("RGBA"))
    return on_white.convert("RGB")


def grid(images: Sequence[Image.Image], gap: int | None = None) -> Image.Image:
    """Up to four pictures of one size, two to a line with `gap` pixels between (by default about 1 %).

    A single picture comes back alone.
    """
    if len(images) == 1:
        return images[0].convert("RGB")
    width, height = images[0].size
    gap = max(2, width // 100) if gap is None else gap
    columns, lines = 2, (len(images) + 1) // 2
    whole = (columns * (width + gap) - gap, lines * (height + gap) - gap)
    canvas = Image.new("RGB", whole, BACKGROUND)
    for index, image in enumerate(images):
        line, column = divmod(index, columns)
        canvas.paste(image.convert("RGB"), (column * (width + gap), line * (height + gap)))
    return canvas


def enlarge(image: Image.Image, times: int) -> Image.Image:
    """The same picture, smoothly larger: for looking at, it gains no detail."""
    if times == 1:
        return image
    return image.resize((image.width * times, image.height * times), _LANCZOS)


def veil(image: Image.Image, sentence: str = WITHHELD) -> Image.Image:
    """The picture blurred beyond recognition, with a sentence on it."""
    width, height = image.size
    # Four patches across: no blur of the picture itself is as safe as not having it any more.
    blurred = (
        image.convert("RGB").resize((4, 4), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    )
    soft = blurred.filter(ImageFilter.GaussianBlur(max(width, height) / 16))
    tile = ImageEnhance.Brightness(ImageEnhance.Color(soft).enhance(0.5)).enhance(0.5)
    font = ImageFont.load_default(max(9, min(width // 10, height // 5)))
    columns = max(1, int(width * 0.9 / font.getlength("n")))
    text = "\n".join(textwrap.wrap(sentence, columns))
    pen = ImageDraw.Draw(tile)
    pen.multiline_text(
        (width / 2, height / 2), text, fill=(235, 235, 235), font=font, anchor="mm", align="center"
    )
    return tile


def encode_within(
    image: Image.Image, limit_bytes: int, parameters: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    """The picture in at most `limit_bytes`, and its file extension: `png`, `webp` or `jpg`.

    What is lost comes in this order: nothing (PNG), what nobody sees (WebP, then JPEG), pixels; its
    `parameters` where there is hardly room for a picture.

    Raises:
        ValueError: less than `SMALLEST_LIMIT` bytes were allowed.
    """
    if limit_bytes < SMALLEST_LIMIT:
        raise ValueError(f"no picture fits into {limit_bytes} bytes")
    data = png_bytes(image, parameters)
    if len(data) <= limit_bytes:
        return data, "png"
    exif = metadata.exif(parameters or {})
    if len(exif) > limit_bytes // 4:
        exif = b""
    smaller = image.convert("RGB")
    while True:
        for data, extension in _lossy(smaller, exif):
            if len(data) <= limit_bytes:
                return data, extension
        size = (max(1, smaller.width * 3 // 4), max(1, smaller.height * 3 // 4))
        smaller = smaller.resize(size, _LANCZOS)


def _lossy(image: Image.Image, exif: bytes) -> Iterator[tuple[bytes, str]]:
    if max(image.size) <= _WEBP_SIDE:
        for quality in (95, 88, 75):
            yield _encode(image, "WEBP", quality=quality, exif=exif), "webp"
    for quality in (85, 75):
        yield _encode(image, "JPEG", quality=quality, exif=exif), "jpg"


def _encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
