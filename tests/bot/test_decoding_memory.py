"""Memory that decoding takes in a process of its own, which has to stay within the bot's budget."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from actions.image_decoding import TooManyPixels, decode
from actions.memory_budget import PICTURES
from tests.bot import heic, photos

MEASURED = """
import asyncio, sys
from actions.downloads import seen

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

async def main():
    await asyncio.gather(*(seen(data) for _ in range(int(sys.argv[1]))))

data = sys.stdin.buffer.read()
before = peak()
asyncio.run(main())
print(peak() - before)
"""


def peak(data: bytes, times: int = 1) -> int:
    """Bytes above what the process took before, of which `ru_maxrss` would also count its parent's."""
    command = [sys.executable, "-c", MEASURED, str(times)]
    return int(subprocess.run(command, input=data, capture_output=True, check=True).stdout)


def test_a_phones_heic_of_48_megapixels_stays_within_the_budget() -> None:
    assert peak(heic.grid(16, 12, [0, 1, 2, 3], (8064, 6048))) < PICTURES.most


GRAIN = {"speed": 10, "advanced": {"film-grain-test": "1"}}
PROGRESSIVE = {"progressive": True, "subsampling": 0}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("mode", "width", "height", "kind", "options"),
    [
        pytest.param("RGB", 6400, 6500, "AVIF", GRAIN, id="avif with film grain"),
        pytest.param("RGB", 5000, 4400, "AVIF", {"speed": 10, "subsampling": "4:4:4"}, id="avif 4:4:4"),
        pytest.param("RGBA", 6400, 4300, "AVIF", {"speed": 10}, id="avif with alpha"),
        pytest.param("RGB", 6400, 4800, "WEBP", {"method": 0}, id="webp"),
        pytest.param("RGBA", 6000, 4800, "WEBP", {"method": 0, "lossless": True}, id="lossless webp"),
        pytest.param("RGB", 8000, 5600, "JPEG", PROGRESSIVE, id="progressive jpeg"),
        pytest.param("RGBA", 8000, 6200, "PNG", {"compress_level": 1}, id="png"),
    ],
)
def test_the_largest_of_each_kind_stays_within_the_budget(
    mode: str, width: int, height: int, kind: str, options: dict[str, Any]
) -> None:
    assert peak(photos.file(photos.quarters(width, height).convert(mode), kind, **options)) < PICTURES.most


@pytest.mark.exhaustive
def test_six_pictures_of_40_megapixels_at_once_stay_within_the_budget() -> None:
    assert (
        peak(photos.file(photos.quarters(8000, 5000).convert("RGBA"), compress_level=1), times=6)
        < PICTURES.most
    )


def test_what_takes_more_than_the_budget_is_refused_with_a_size_that_is_taken() -> None:
    with pytest.raises(TooManyPixels) as refused:
        decode(photos.file(Image.new("RGB", (8000, 4800)), "WEBP", method=0))
    side = int(refused.value.most**0.5)
    assert 20_000_000 < refused.value.most < 40_000_000
    assert decode(photos.file(Image.new("RGB", (side, side)), "WEBP", method=0)).size == (2048, 2048)
