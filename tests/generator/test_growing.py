"""Picturebook's scenes grow without a seam and without a second subject.

`python -m benchmarks.growing` prints the figures of the forty, by kind, and makes the sheet.
"""

from __future__ import annotations

import secrets
import statistics
from collections.abc import Iterator

import pytest

from benchmarks import growing
from benchmarks.growing import Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery.open() as nursery:
        yield nursery


def test_a_zoom_and_a_pan_show_their_subject_once(nursery: Nursery) -> None:
    grown = nursery.growths(growing.FIXED, 1)
    assert [each.kind for each in grown] == ["zoom 2×", "left"]
    assert not any(each.second for each in grown)
    assert statistics.mean(each.seam for each in grown) <= growing.MOST_SEAM
    left = grown[1]
    planted = left.after.copy()
    planted.paste(left.before.crop((32, 0, 96, 128)), (0, 0))
    assert nursery.has_second(left.before, planted, left.canvas, ("balloon",)), "and one more would be seen"


@pytest.mark.exhaustive
def test_forty_grow_half_of_them_new_at_every_run(nursery: Nursery) -> None:
    seed = secrets.randbelow(2**31)
    grown = nursery.growths(growing.FIXED, 10) + nursery.growths(seed, 10)
    assert len(grown) == 40
    assert statistics.mean(each.seam for each in grown) <= growing.MOST_SEAM, seed
    assert statistics.median(each.jump for each in grown) <= growing.MOST_SEAM, seed
    assert sum(each.second for each in grown) <= 4, seed
    assert sum(each.withheld and not each.inherited for each in grown) <= 4, seed
