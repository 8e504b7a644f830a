"""What files say beside their pixels: written, read by others, and read from strangers."""

from __future__ import annotations

import io
import struct
import zlib

import piexif
import piexif.helper
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from storage import image_encoding, metadata

PICTURE = Image.effect_noise((96, 64), 80).convert("RGB")
TEXTS = {"parameters": "a (grün:1.3) 船\nSteps: 20, Seed: 3", "easel": '{"prompt": "a grün 船"}'}
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200)


def encoded(limit: int, texts: dict[str, str]) -> tuple[bytes, str]:
    return image_encoding.encode_within(PICTURE, limit, texts)


@pytest.mark.parametrize(("limit", "extension"), [(10**6, "png"), (12_000, "webp")])
@given(parameters=words, own=words)
@example(parameters="Ā", own="0")
def test_every_kind_of_file_gives_back_what_it_was_given(
    limit: int, extension: str, parameters: str, own: str
) -> None:
    texts = {"parameters": parameters, "easel": own}
    data, made = encoded(limit, texts)
    assert made == extension
    assert metadata.read(data) == texts


@pytest.mark.parametrize("kind", ["WEBP", "JPEG"])
def test_exif_is_a1111s_own(kind: str) -> None:
    """A1111 writes and reads its comment with piexif."""
    out = io.BytesIO()
    PICTURE.save(out, kind, exif=metadata.exif(TEXTS))
    exif = Image.open(out).info["exif"]
    comment = piexif.load(exif)["Exif"][piexif.ExifIFD.UserComment]
    assert piexif.helper.UserComment.load(comment) == TEXTS["parameters"]
    theirs = {"Exif": {piexif.ExifIFD.UserComment: piexif.helper.UserComment.dump("a 船", "unicode")}}
    out = io.BytesIO()
    PICTURE.save(out, kind, exif=piexif.dump(theirs))
    assert metadata.read(out.getvalue()) == {"parameters": "a 船"}


def test_a_movie_says_it_too() -> None:
    data = image_encoding.webp_movie([PICTURE, PICTURE], 100, 200, metadata.exif(TEXTS))
    assert metadata.read(data) == TEXTS
    with Image.open(io.BytesIO(data)) as opened:
        assert getattr(opened, "n_frames", 1) == 2
        opened.seek(1)
        assert opened.convert("RGB").tobytes() == PICTURE.tobytes()


def test_what_is_too_large_for_a_segment_is_left_out() -> None:
    large = {**TEXTS, "easel": "x" * 70_000}
    out = io.BytesIO()
    PICTURE.save(out, "JPEG", exif=metadata.exif(large))
    assert metadata.read(out.getvalue()) == {"parameters": TEXTS["parameters"]}
    assert metadata.exif({"parameters": "x" * 70_000}) == b""


def test_compressed_texts_are_read_as_far_as_they_are_no_bomb() -> None:
    info = PngInfo()
    info.add_text("parameters", "a fox", zip=True)
    info.add_itxt("prompt", "ein Füchslein", zip=True)
    info.add_text("bomb", "x" * 10 * metadata.LONGEST, zip=True)
    info.add_itxt("other", "ü" * metadata.LONGEST, zip=True)
    out = io.BytesIO()
    PICTURE.save(out, "PNG", pnginfo=info)
    assert metadata.read(out.getvalue()) == {"parameters": "a fox", "prompt": "ein Füchslein"}


def test_there_are_not_more_texts_than_anybody_needs() -> None:
    chunks = b"".join(_chunk(b"tEXt", b"k%d\0text" % number) for number in range(1000))
    assert len(metadata.read(b"\x89PNG\r\n\x1a\n" + chunks)) == metadata.MOST_TEXTS


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _files() -> list[bytes]:
    out = io.BytesIO()
    PICTURE.save(out, "JPEG", exif=metadata.exif(TEXTS))
    return [encoded(10**6, TEXTS)[0], encoded(12_000, TEXTS)[0], out.getvalue()]


@given(st.sampled_from(_files()), st.integers(0, 3000), st.binary(min_size=1, max_size=8), st.booleans())
def test_broken_files_say_nothing_or_something_and_break_nothing(
    data: bytes, place: int, dirt: bytes, cut: bool
) -> None:
    broken = data[:place] if cut else data[:place] + dirt + data[place + len(dirt) :]
    for name, text in metadata.read(broken).items():
        assert isinstance(name, str)
        assert len(text) <= metadata.LONGEST


@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF1234WEBP"]))
def test_any_bytes_may_come(data: bytes, head: bytes) -> None:
    assert isinstance(metadata.read(head + data), dict)
