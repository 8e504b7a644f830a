"""The texts that a picture's file carries beside its pixels, as other programs write and read them.

A PNG has them in text chunks; WebP and JPEG have A1111's `parameters` in EXIF's UserComment, and Easel's own
in its MakerNote. Files come from anywhere: they are read without decoding a pixel, and no text is larger than
LONGEST, however well it is compressed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from PIL import ExifTags, Image

from storage import foreign_files
from storage.foreign_files import DamagedFile

PARAMETERS = "parameters"
"""Name of the text that says in A1111's words how a picture was made."""
EASEL = "easel"
"""The request as JSON."""
COMFYUI = "prompt"
"""ComfyUI's graph as JSON."""

LONGEST = 2**18
"""Characters, or bytes, of one text."""
MOST_TEXTS = 32

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_EXIF = b"Exif\0\0"
_UNICODE = b"UNICODE\0"
_ASCII = b"ASCII\0\0\0"
_OURS = b"easel\0"
_LARGEST_EXIF = 65_000
"""Bytes; a segment of a JPEG takes few more."""
_HEADER = 8
_LONG, _UNDEFINED = 4, 7
"""EXIF's types of values."""
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN = 0xDA


def read(data: bytes) -> dict[str, str]:
    """The texts of a PNG, WebP or JPEG by their names; nothing of any other file, or a broken one."""
    if data.startswith(_PNG):
        return _of_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _of_exif(next((body for name, body in _riff(data) if name == b"EXIF"), b""))
    if data.startswith(_JPEG):
        return _of_exif(next((body for kind, body in _segments(data) if kind == 0xE1), b""))
    return {}


def exif(texts: Mapping[str, str]) -> bytes:
    """The texts as EXIF; Easel's own is left out where it is too large, and all where that is not enough."""
    comment, note = texts.get(PARAMETERS), texts.get(EASEL)
    values: dict[int, bytes] = {
        ExifTags.Base.MakerNote: _OURS + note.encode("utf-8", "replace") if note else b"",
        ExifTags.Base.UserComment: _UNICODE + comment.encode("utf-16-be", "replace") if comment else b"",
    }
    for left_out in (None, ExifTags.Base.MakerNote):
        kept = {tag: value for tag, value in values.items() if value and tag != left_out}
        if kept and sum(map(len, kept.values())) <= _LARGEST_EXIF:
            return _EXIF + _tiff(kept)
    return b""


def _tiff(values: Mapping[int, bytes]) -> bytes:
    """An Exif directory with these values of more than 4 bytes, by their tags upwards.

    Pillow would write them as bytes, where the standard has them undefined and A1111's reader takes no other.
    """
    begin = _HEADER + _entries(1)
    place = begin + _entries(len(values))
    head = b"MM" + struct.pack(">HI", 42, _HEADER)
    head += struct.pack(">HHHIII", 1, ExifTags.IFD.Exif, _LONG, 1, begin, 0) + struct.pack(">H", len(values))
    for tag, value in values.items():
        head += struct.pack(">HHII", tag, _UNDEFINED, len(value), place)
        place += len(value)
    return head + bytes(4) + b"".join(values.values())


def _entries(count: int) -> int:
    """Bytes of a directory of so many."""
    return 2 + 12 * count + 4


def _of_png(data: bytes) -> dict[str, str]:
    texts: dict[str, str] = {}
    for kind, body in _chunks(data):
        if kind in _TEXTS and len(texts) < MOST_TEXTS:
            name, _, rest = body.partition(b"\0")
            text = _TEXTS[kind](rest)
            if text is not None:
                texts.setdefault(name.decode("latin-1"), text)
    return texts


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield kind, data[place + 8 : place + 8 + length] if kind in _TEXTS else b""
        place += 12 + length


def _plain(body: bytes) -> str | None:
    return body.decode("latin-1") if len(body) <= LONGEST else None


def _compressed(body: bytes) -> str | None:
    text = _inflated(body[1:])
    return None if text is None else text.decode("latin-1")


def _international(body: bytes) -> str | None:
    packed, rest = body[:1] == b"\1", body[2:]
    text: bytes | None = rest.partition(b"\0")[2].partition(b"\0")[2]
    if packed:
        text = _inflated(text or b"")
    return None if text is None or len(text) > LONGEST else text.decode("utf-8", "replace")


def _inflated(body: bytes) -> bytes | None:
    """None for what is broken, or would be longer than LONGEST."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(body, LONGEST)
    except zlib.error:
        return None
    return text if unpacker.eof else None


_TEXTS = {b"tEXt": _plain, b"zTXt": _compressed, b"iTXt": _international}


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        yield name, data[place + 8 : place + 8 + length] if name == b"EXIF" else b""
        place += 8 + length + length % 2


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """A JPEG's segments before its pixels, of APP1 those alone that hold EXIF."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind == _SCAN:
            return
        if kind == 0xFF or kind in _WITHOUT_LENGTH:
            place += 1 if kind == 0xFF else 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4])
        body = data[place + 4 : place + 2 + length]
        if kind != 0xE1 or body.startswith(_EXIF):
            yield kind, body
        place += 2 + max(length, 2)


def _of_exif(body: bytes) -> dict[str, str]:
    if not body or len(body) > 4 * LONGEST:
        return {}
    try:
        with foreign_files.reading():
            found = Image.Exif()
            found.load(body)
            details = found.get_ifd(ExifTags.IFD.Exif)
            comment, note = details.get(ExifTags.Base.UserComment), details.get(ExifTags.Base.MakerNote)
    except DamagedFile:
        return {}
    own = _note(note)
    texts = {PARAMETERS: _comment(comment, ours=bool(own)), EASEL: own}
    return {name: text for name, text in texts.items() if text}


def _comment(value: object, *, ours: bool) -> str:
    if not isinstance(value, bytes) or len(value) > LONGEST:
        return ""
    if value.startswith(_UNICODE):
        text = value[len(_UNICODE) :]
        return text.decode("utf-16-be" if ours else _byte_order(text), "replace").strip("\0")
    return value.removeprefix(_ASCII).removeprefix(bytes(8)).decode("utf-8", "replace").strip("\0")


def _byte_order(text: bytes) -> str:
    """Big-endian as A1111 and Easel write it; others write the other one, in which ASCII ends with zeros."""
    return "utf-16-be" if text[::2].count(0) >= text[1::2].count(0) else "utf-16-le"


def _note(value: object) -> str:
    if not isinstance(value, bytes) or not value.startswith(_OURS) or len(value) > LONGEST:
        return ""
    return value.removeprefix(_OURS).decode("utf-8", "replace")
