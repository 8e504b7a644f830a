"""Pictures are compared as said, and the engine's are like the pipeline's."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
import pytest

from benchmarks import likeness
from benchmarks.around import around
from benchmarks.measure import Sides
from benchmarks.workload import SAMPLERS, Mix
from generator.families import schedulers

MIX = Mix("tiny", 64, 2, 4)


def grey(level: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.full((8, 8, 3), level, np.uint8))


def test_decibels_are_of_the_pair_that_differs_most() -> None:
    same = [grey(9), grey(9)]
    assert likeness.decibels(same, same) == likeness.IDENTICAL_DB
    assert likeness.decibels(same, [grey(9), grey(10)]) == pytest.approx(20 * math.log10(255))


def test_every_way_of_drawing_gives_the_same_pictures(sides: Sides) -> None:
    found = likeness.likeness(sides.engine, sides.pipeline, MIX)
    assert set(found) == set(SAMPLERS)
    for each in found.values():
        assert min(each.pipeline_db, each.strangers_db) > 48, "a difference of one everywhere"
        assert each.identical


def test_other_pictures_are_not_alike(sides: Sides) -> None:
    images = [likeness.drawn(sides.engine, MIX.request(number, 2), []) for number in (1, 2)]
    assert likeness.decibels(*images) < 30


def test_all_around_the_unet_is_measured(sides: Sides) -> None:
    found = around(sides.engine, MIX, 1)
    assert set(found.steps) == set(schedulers.TABLE)
    assert min(found.prompt_alone, found.prompt_shared, *found.steps.values()) > 0
    assert found.picture_shared < found.decoding_call
