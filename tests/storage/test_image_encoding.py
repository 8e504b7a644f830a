from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from storage import image_encoding, metadata


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Nothing compresses worse."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=79)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100)


@given(st.dictionaries(keys, texts, max_size=4))
def test_parameters_come_back_as_they_were(parameters: dict[str, str]) -> None:
    assert metadata.read(image_encoding.png_bytes(noise(3, 2), parameters)) == parameters


def test_a_png_loses_no_pixel() -> None:
    image = noise(31, 17)
    assert opened(image_encoding.png_bytes(image, {"a": "ü"})).tobytes() == image.tobytes()


def test_a_grid_shows_every_picture_whole_and_in_its_corner() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
    sheet = image_encoding.grid([Image.new("RGB", (40, 30), colour) for colour in colours], gap=4)
    assert sheet.size == (84, 64)
    corners = [(0, 0), (44, 0), (0, 34), (44, 34)]
    for colour, (left, top) in zip(colours, corners, strict=True):
        tile = sheet.crop((left, top, left + 40, top + 30))
        assert tile.getcolors() == [(1200, colour)]


@pytest.mark.parametrize(("count", "size"), [(1, (40, 30)), (2, (82, 30)), (3, (82, 62))])
def test_a_grid_of_fewer_than_four(count: int, size: tuple[int, int]) -> None:
    assert image_encoding.grid([noise(40, 30)] * count).size == size


def test_enlarging_keeps_the_picture() -> None:
    image = noise(20, 10).resize((40, 20), Image.Resampling.BICUBIC)
    larger = image_encoding.enlarge(image, 3)
    assert larger.size == (120, 60)
    back = np.asarray(larger.resize(image.size, Image.Resampling.BOX), float)
    assert np.abs(back - np.asarray(image, float)).mean() < 6


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (96, 208), (1024, 512)])
def test_a_veil_leaves_nothing_to_recognise_and_says_why(size: tuple[int, int]) -> None:
    checkers = Image.fromarray((np.indices((8, 8)).sum(0) % 2 * 255).astype(np.uint8), "L")
    secret = checkers.resize(size, Image.Resampling.NEAREST).convert("RGB")
    assert np.asarray(secret).std() > 100
    assert np.asarray(image_encoding.veil(secret, "")).std() < 20
    assert np.asarray(image_encoding.veil(secret)).max() > 200


@given(
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.integers(image_encoding.SMALLEST_LIMIT, 60_000),
    st.sampled_from(["RGB", "RGBA", "L", "P"]),
)
def test_a_file_never_exceeds_its_limit(size: tuple[int, int], limit: int, mode: str) -> None:
    data, extension = image_encoding.encode_within(noise(*size).convert(mode), limit)
    assert len(data) <= limit
    assert opened(data).format == {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}[extension]


def test_what_fits_loses_nothing_and_what_does_not_keeps_its_size_first() -> None:
    image = noise(64, 64)
    data, extension = image_encoding.encode_within(image, 1_000_000)
    assert extension == "png"
    assert opened(data).tobytes() == image.tobytes()
    data, extension = image_encoding.encode_within(image, len(data) - 1)
    assert extension == "webp"
    assert opened(data).size == (64, 64)


def test_a_picture_too_long_for_webp_is_sent_all_the_same() -> None:
    data, extension = image_encoding.encode_within(noise(17_000, 2), 20_000)
    assert len(data) <= 20_000
    assert extension in ("jpg", "webp")


def test_a_limit_below_any_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        image_encoding.encode_within(noise(4, 4), 10)


def test_a_picture_is_taken_as_it_is_seen() -> None:
    """Upright, opaque and of three channels, whatever it was."""
    half = Image.new("LA", (2, 1), (0, 255))
    half.putpixel((1, 0), (0, 0))
    assert np.asarray(image_encoding.as_seen(half)).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    deep = Image.new("I;16", (1, 1), 0x8000)
    assert image_encoding.as_seen(deep).getpixel((0, 0)) == (128, 128, 128)
    turned = noise(4, 2)
    turned.getexif()[0x0112] = 3
    assert image_encoding.as_seen(turned).tobytes() == turned.rotate(180).tobytes()
