"""What flags do to Picturebook's pictures, in short: few pairs and wide margins.

`python -m benchmarks.flag_effects` measures the same on more. What tiny models show as well, such as that
words are weighed, is exhaustive; what the shipped weights alone can show is not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import flag_effects
from benchmarks.flag_studio import Studio

PAIRS = 3


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with Studio.open(steps=8) as studio:
        yield studio


@pytest.mark.exhaustive
def test_style_words_show(studio: Studio) -> None:
    figures = flag_effects.sref(studio, PAIRS).figures
    assert figures["1000"] > figures["0"] + 0.3


@pytest.mark.exhaustive
def test_a_picture_gives_its_style(studio: Studio) -> None:
    figures = flag_effects.sref_picture(studio, 2 * PAIRS).figures
    assert figures["--sref"] > figures["plain"] + 0.3
    assert figures["right"] >= 0.5


@pytest.mark.exhaustive
def test_a_picture_gives_its_subject(studio: Studio) -> None:
    figures = flag_effects.oref(studio, 2 * PAIRS).figures
    assert figures["--oref"] > figures["plain"] + 0.2


@pytest.mark.exhaustive
def test_pictures_say_what_the_words_leave_open(studio: Studio) -> None:
    figures = flag_effects.image_prompts(studio, 2 * PAIRS).figures
    assert figures["pictures"] > figures["plain"] + 0.2
    assert figures["right"] >= 0.5


@pytest.mark.exhaustive
def test_outlines_lead_and_the_words_colour_them(studio: Studio) -> None:
    figures = flag_effects.control(studio, PAIRS).figures
    assert figures["edges"] > figures["plain"] + 0.05
    assert figures["blue"] >= 0.6


def test_what_is_not_wanted_is_seen_less(studio: Studio) -> None:
    figures = flag_effects.negative(studio, PAIRS).figures
    assert figures["--no night"] < figures["plain"] - 0.05


@pytest.mark.exhaustive
def test_the_heavier_part_is_seen(studio: Studio) -> None:
    figures = flag_effects.multi_prompt(studio, PAIRS).figures
    assert figures["3:1"] > figures["1:3"] + 0.5


@pytest.mark.exhaustive
def test_what_is_emphasised_is_seen(studio: Studio) -> None:
    figures = flag_effects.emphasis(studio, PAIRS).figures
    assert figures["2.0"] > figures["1.0"] + 0.3


@pytest.mark.exhaustive
def test_a_sameseed_grid_is_nearly_one_picture(studio: Studio) -> None:
    figures = flag_effects.sameseed(studio, 1).figures
    assert 0 < figures["sameseed"] < 0.6 * figures["plain"]


@pytest.mark.exhaustive
def test_an_early_end_is_further_from_the_finished_picture(studio: Studio) -> None:
    figures = flag_effects.stop(studio, PAIRS).figures
    assert figures["10"] > figures["75"] > 0


@pytest.mark.exhaustive
def test_weird_is_further_away(studio: Studio) -> None:
    figures = flag_effects.weird(studio, PAIRS).figures
    assert figures["3000"] > figures["500"] > 1


def test_the_right_edge_goes_on_at_the_left(studio: Studio) -> None:
    assert flag_effects.tile(studio, PAIRS).figures["tile"] <= 1.5


def test_a_zoom_keeps_the_picture_without_a_seam(studio: Studio) -> None:
    figures = flag_effects.zoom(studio, PAIRS).figures
    assert figures["kept"] <= 2
    assert figures["seam"] <= 2


def test_creativity_adds_detail_and_keeps_the_picture(studio: Studio) -> None:
    figures = flag_effects.creativity(studio, 2).figures
    assert figures["0.3"] > 1.1 * figures["0"]
    assert 2 < figures["distance"] < 60
