"""What the benchmark of redrawn regions tells."""

from __future__ import annotations

import PIL.Image
import pytest

from benchmarks import regions

SLOPE = PIL.Image.linear_gradient("L").resize((128, 128)).convert("RGB")


def _box(image: PIL.Image.Image, colour: str | int) -> PIL.Image.Image:
    image = image.copy()
    image.paste(colour, (40, 40, 88, 88))
    return image


def test_a_hard_border_is_a_step_and_a_slope_is_none() -> None:
    mask = _box(PIL.Image.new("L", (128, 128)), 255)
    assert regions.step(SLOPE, mask) == pytest.approx(1, abs=0.2)
    assert regions.step(_box(SLOPE, "black"), mask) > 5


def test_what_changes_is_told_within_the_region_alone() -> None:
    mask = _box(PIL.Image.new("L", (128, 128)), 255)
    told = regions.measured("box", "the same", SLOPE, mask, mask, PIL.Image.new("RGB", (128, 128), "red"))
    assert told.subject == told.region == pytest.approx(48**2 / 128**2)
    assert told.region < told.changed <= 80**2 / 128**2
    assert told.outside == 0
