"""Picture files of every kind that members have, and how much memory they take."""

from __future__ import annotations

import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from actions.image_decoding import LONGEST_SIDE, NotAnImage, TooManyPixels, decode
from actions.memory_budget import Budget
from tests.bot import heic, photos

RED, LIME, BLUE, YELLOW = QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
HERE = Path(__file__).parent
HEIC = HERE / "quarters.heic"


def shows_quarters(data: bytes) -> bool:
    image = decode(data)
    x, y = image.width - 5, image.height - 5
    found = [image.getpixel(place) for place in ((4, 4), (x, 4), (4, y), (x, y))]
    pairs = zip(found, QUARTERS, strict=True)
    return all(abs(a - b) <= 20 for one, other in pairs for a, b in zip(one, other, strict=True))  # type: ignore[arg-type]


def _chunk(name: bytes, content: bytes) -> bytes:
    framed = name + content
    return struct.pack(">I", len(content)) + framed + struct.pack(">I", zlib.crc32(framed))


def with_chunk(name: bytes, content: bytes) -> bytes:
    """The picture as a PNG, with a chunk behind its header."""
    data = photos.png()
    return data[:33] + _chunk(name, content) + data[33:]


def animated(kind: str) -> bytes:
    others = [Image.new("RGB", (64, 48), "black")]
    return photos.file(photos.quarters(), kind, save_all=True, append_images=others, quality=95)


def saved(mode: str, kind: str, **options: Any) -> bytes:
    return photos.file(photos.quarters().convert(mode), kind, **options)


PACKED = zlib.compress(bytes(3 * 2**20))
EXIF_UPSIDE_DOWN = Image.Exif()
EXIF_UPSIDE_DOWN[0x0112] = 3


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HEIC.read_bytes(), id="heic"),
        pytest.param((HERE / "turned.heic").read_bytes(), id="heic that irot turns"),
        pytest.param((HERE / "mirrored.heic").read_bytes(), id="heic that irot and imir turn"),
        pytest.param(heic.grid(2, 2, range(4), (1000, 900)), id="heic of tiles"),
        pytest.param(heic.grid(2, 2, (1, 3, 0, 2), (900, 1000), turns=3), id="heic of tiles that irot turns"),
        pytest.param(saved("RGB", "AVIF", quality=95), id="avif"),
        pytest.param(saved("RGBA", "AVIF", quality=95), id="avif with alpha"),
        pytest.param(saved("CMYK", "JPEG", quality=95), id="cmyk"),
        pytest.param(saved("RGB", "JPEG", quality=95, progressive=True), id="progressive"),
        pytest.param(saved("P", "PNG"), id="palette"),
        pytest.param(saved("P", "GIF"), id="gif"),
        pytest.param(animated("WEBP"), id="animated webp"),
        pytest.param(animated("PNG"), id="apng"),
        pytest.param(animated("GIF"), id="animated gif"),
        pytest.param(animated("MPO"), id="mpo"),
        pytest.param(animated("AVIF"), id="animated avif"),
        pytest.param(with_chunk(b"iCCP", b"profile\0\0" + PACKED), id="large profile"),
        pytest.param(with_chunk(b"zTXt", b"words\0\0" + PACKED), id="large packed text"),
        pytest.param(with_chunk(b"iTXt", b"words\0\1\0\0\0" + PACKED), id="large packed UTF-8"),
        pytest.param(with_chunk(b"tEXt", b"words\0" + b"a" * 3 * 2**20), id="large text"),
        pytest.param(photos.png()[:-12], id="png without its end"),
        pytest.param(saved("RGB", "JPEG", quality=95)[:-2], id="jpeg without its end"),
        pytest.param(saved("RGB", "JPEG", quality=95)[:-2] + b"\0\0", id="jpeg with zeros for its end"),
        pytest.param(saved("RGB", "JPEG", quality=95) + bytes(500), id="jpeg with a trailer"),
        pytest.param(photos.file(photos.quarters().rotate(180), exif=EXIF_UPSIDE_DOWN), id="png upside down"),
        pytest.param(
            photos.file(photos.quarters().rotate(180), "WEBP", exif=EXIF_UPSIDE_DOWN, lossless=True),
            id="webp upside down",
        ),
    ],
)
def test_each_is_shown_as_it_is(data: bytes) -> None:
    assert shows_quarters(data)


def test_a_heic_is_turned_by_its_own_properties_not_by_exif() -> None:
    """As the standard has it: what has turned the pixels may well have left the camera's EXIF as it was."""
    turned = decode((HERE / "turned_by_exif_alone.heic").read_bytes())
    assert turned.size == (48, 64)
    assert turned.getpixel((4, 4)) == pytest.approx(LIME, abs=3)


def test_the_first_of_a_burst_is_shown() -> None:
    burst = (HERE / "tiles.heic").read_bytes()
    for data in (burst, burst[:-10]):
        assert decode(data).getpixel((500, 500)) == pytest.approx(RED, abs=3)


def test_a_jpeg_that_misses_much_is_refused() -> None:
    data = photos.file(Image.effect_noise((256, 256), 80).convert("RGB"), "JPEG")
    assert decode(data[: len(data) * 97 // 100]).size == (256, 256)
    for part in (0.3, 0.6, 0.8):
        with pytest.raises(NotAnImage):
            decode(data[: int(len(data) * part)])


def test_a_grey_jpeg_is_not_taken_for_a_cut_one() -> None:
    assert decode(photos.file(Image.new("RGB", (64, 64), (128, 128, 128)), "JPEG")).size == (64, 64)


def test_a_phones_48_megapixels_are_decoded_at_a_fraction() -> None:
    phone = photos.file(Image.new("RGB", (8064, 6048), (10, 200, 10)), "JPEG")
    assert decode(phone).size == (LONGEST_SIDE, LONGEST_SIDE * 3 // 4)


def test_a_panorama_too() -> None:
    wide = photos.file(Image.new("RGB", (30_000, 2000), (10, 200, 10)), "JPEG")
    assert decode(wide).size == (LONGEST_SIDE, round(LONGEST_SIDE / 15))


def test_too_large_a_jpeg_is_refused_unread() -> None:
    header = bytearray(photos.jpeg())
    start = header.index(b"\xff\xc0")
    header[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(TooManyPixels):
        decode(bytes(header))


def test_a_large_picture_with_every_kind_of_pixel_is_made_smaller() -> None:
    large = photos.quarters(4200, 300)
    clear = large.convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 128))
    palette = large.quantize(8)
    for image in (large, palette):
        assert shows_quarters(photos.file(image))
    assert decode(photos.file(clear)).getpixel((4, 4)) == pytest.approx((255, 127, 127), abs=2)
    deep = Image.new("I;16", (4200, 300), 128 * 256)
    assert decode(photos.file(deep)).getpixel((4, 4)) == (128, 128, 128)


def test_who_waits_for_memory_is_served_in_order_and_together_where_it_fits() -> None:
    budget = Budget(10)
    served: list[int] = []
    together = threading.Barrier(2, timeout=5)

    def ask(amount: int, *, meet: bool) -> None:
        with budget.held(amount):
            served.append(amount)
            if meet:
                together.wait()

    threads = []
    with budget.held(10):
        for amount in (99, 4, 6):
            threads.append(threading.Thread(target=ask, args=(amount,), kwargs={"meet": amount < 10}))
            threads[-1].start()
            while len(budget._waiting) < len(threads):
                pass
        assert served == []
    for thread in threads:
        thread.join(timeout=5)
    assert served[0] == 99, "and more than there is means alone"
    assert sorted(served[1:]) == [4, 6]


def in_scans(side: int) -> bytes:
    """A grey baseline JPEG of three components, each in a scan of its own."""

    def segment(marker: int, content: bytes) -> bytes:
        return b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(content)) + content

    one_code = bytes([1, *[0] * 15, 0])
    """A table with a single code of one bit, 0: no difference, or the end of the block."""
    tables = segment(0xDB, bytes([0, *[1] * 64])) + segment(0xC4, b"\x00" + one_code + b"\x10" + one_code)
    components = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    frame = segment(0xC0, struct.pack(">BHHB", 8, side, side, 3) + components)
    blocks = (side // 8) ** 2
    scans = (segment(0xDA, bytes([1, number, 0, 0, 63, 0])) + bytes(blocks // 4) for number in (1, 2, 3))
    return b"\xff\xd8" + tables + frame + b"".join(scans) + b"\xff\xd9"


def test_a_jpeg_whose_colours_come_in_scans_is_reckoned_with_all_that_is_kept_until_the_last() -> None:
    assert decode(in_scans(64)).getpixel((32, 32)) == (128, 128, 128)
    with pytest.raises(TooManyPixels):
        decode(in_scans(12000))
