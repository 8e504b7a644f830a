"""What one member feels is measured, and nothing goes on drawing afterwards."""

from __future__ import annotations

import time

import pytest

from benchmarks import moments
from benchmarks.measure import Sides
from benchmarks.workload import Mix

MIX = Mix("tiny", 64, 2, 4)


def _wait_until_idle(sides: Sides) -> None:
    end = time.monotonic() + 10
    while sides.engine.busy:
        assert time.monotonic() < end, "somebody still draws"
        time.sleep(0.01)


def test_alone(sides: Sides) -> None:
    seconds = moments.alone(sides.engine, sides.pipeline, MIX, 2)
    assert [len(each) for each in seconds.values()] == [2, 2]
    assert min(*seconds["diffusers"], *seconds["easel"]) > 0


def test_first_ticks_of_newcomers(sides: Sides) -> None:
    ticks = moments.first_ticks(sides.engine, sides.engine_calls, MIX, 3)
    assert len(ticks) == 3
    assert all(0 < tick.begun < tick.done for tick in ticks)
    _wait_until_idle(sides)


def test_previews_are_taken_on_one_side_only(sides: Sides) -> None:
    found = moments.previews(sides.engine, MIX, 2, 2, every=0.001)
    assert [len(each) for each in found.values()] == [2, 2, 2]
    assert all(found["taken"])
    assert moments.cost(found) > -1


def test_cost_is_the_part_that_previews_add() -> None:
    assert moments.cost({"without": [2.0, 1.0, 3.0], "with": [2.0, 2.5, 3.0]}) == pytest.approx(0.25)
