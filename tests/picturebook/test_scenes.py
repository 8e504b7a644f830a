"""The scenes are drawn alike every time, in all sizes, and the held-out ones never in training."""

import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picturebook import words
from picturebook.dataset import shard_sizes
from picturebook.scenes import SIZE_WEIGHTS, SIZES, Scene, draw, masks, random_scene

CASTLE = Scene("castle", "red", "hills", "night", "clear", "illustration", seed=3)


def test_same_scene_same_picture() -> None:
    assert draw(CASTLE).tobytes() == draw(CASTLE).tobytes()


def test_another_seed_another_picture() -> None:
    assert draw(CASTLE).tobytes() != draw(replace(CASTLE, seed=4)).tobytes()


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_drawn(size: tuple[int, int]) -> None:
    assert draw(CASTLE, size).size == size
    assert size[0] % 8 == size[1] % 8 == 0


def test_sizes_are_mirrored_and_of_nearly_one_area() -> None:
    assert {(h, w) for w, h in SIZES} == set(SIZES)
    assert all(14_000 <= w * h <= 20_000 for w, h in SIZES)
    assert sum(SIZE_WEIGHTS) == pytest.approx(1)


def test_larger_scale_shows_the_same() -> None:
    small = np.asarray(draw(CASTLE), float)
    large = np.asarray(draw(CASTLE, scale=4).resize((128, 128), 4), float)
    assert np.abs(small - large).mean() < 6


@pytest.mark.parametrize("subject", [*words.SUBJECTS, *words.FORBIDDEN])
@pytest.mark.parametrize("style", words.STYLES)
def test_every_subject_in_every_style(subject: str, style: str) -> None:
    assert len(draw(replace(CASTLE, subject=subject, style=style)).getcolors(1 << 16) or []) > 8


@pytest.mark.parametrize(("ground", "time", "sky"), [*product(words.GROUNDS, words.TIMES, words.SKIES)])
def test_every_place_differs_from_the_plain_one(ground: str, time: str, sky: str) -> None:
    plain = replace(CASTLE, ground="hills", time="day", sky="clear")
    other = replace(plain, ground=ground, time=time, sky=sky)
    assert other == plain or draw(other).tobytes() != draw(plain).tobytes()


@pytest.mark.parametrize("quality", words.QUALITIES)
def test_every_quality_is_seen(quality: str) -> None:
    plain = np.asarray(draw(CASTLE), float)
    rich = np.asarray(draw(replace(CASTLE, qualities=(quality,))), float)
    assert np.abs(rich - plain).mean() > 1


@given(st.integers(0, 10**9))
def test_held_out_scenes_never_in_training(seed: int) -> None:
    training = random_scene(random.Random(seed))
    assert not words.is_held_out(training.subject, training.colour, training.ground)
    kept = random_scene(random.Random(seed), held_out=True)
    assert words.is_held_out(kept.subject, kept.colour, kept.ground)


def test_held_out_touches_every_value_and_leaves_most() -> None:
    held = [c for c in product(words.SUBJECTS, words.COLOURS, words.GROUNDS) if words.is_held_out(*c)]
    assert 30 <= len(held) <= 80
    for column, table in enumerate((words.SUBJECTS, words.COLOURS, words.GROUNDS)):
        assert {combination[column] for combination in held} == set(table)


def test_shards_follow_the_weights_from_the_first_on() -> None:
    sizes = shard_sizes(60)
    assert set(sizes) == set(SIZES)
    assert sizes[0] == SIZES[0]
    assert 17 <= sizes.count(SIZES[0]) <= 24


@pytest.mark.parametrize("size", SIZES)
def test_sky_ground_and_subject_share_the_picture(size: tuple[int, int]) -> None:
    layers = {name: np.asarray(mask, float) for name, mask in masks(CASTLE, size, size).items()}
    assert list(layers) == ["sky", "ground", "subject"]
    assert np.abs(sum(layers.values()) - 255).mean() < 2
    top, bottom = size[1] // 6, size[1] - size[1] // 16
    assert layers["sky"][:top].mean() > 250
    assert layers["ground"][bottom:].mean() > 240
    red = np.asarray(draw(CASTLE, size), float)
    reddish = red[..., 0] > red[..., 1:].max(axis=-1) + 50
    assert layers["subject"][reddish].mean() > 230


def test_flakes_in_the_air_are_sky() -> None:
    snow = masks(replace(CASTLE, ground="snow"), (128, 128), (128, 128))
    assert np.asarray(snow["sky"])[:40].mean() > 250
