"""Which words matter, and what is left without the others: read by Picturebook, and by tiny models."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from generator.families import loading
from generator.shorten import WINDOW, Shortener, shorter
from storage import catalog

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def reader() -> Shortener:
    return Shortener(loading.load(catalog.load()["picturebook"].source, CPU))


def test_words_that_name_something_outweigh_the_others(reader: Shortener) -> None:
    found = reader.shorten("please draw a picture of a small blue boat on the sea under a full moon")
    weights = dict(found.weights)
    named = [weights[word] for word in ("blue", "boat", "sea", "moon")]
    idle = [weights[word] for word in ("please", "draw", "picture", "of", "on", "the", "under")]
    assert min(named) > 2 * max(idle)
    assert max(weights.values()) == 1
    assert min(weights.values()) >= 0


def test_shorter_prompts_keep_what_matters_longest(reader: Shortener) -> None:
    prompt = "a beautiful red castle on green hills at night, watercolor, very detailed"
    found = reader.shorten(prompt)
    assert len(found.prompts) == 5
    lengths = [len(text.split()) for text in found.prompts]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 5
    assert lengths[0] < len(prompt.split())
    heaviest = max(found.weights, key=lambda word: word[1])[0].strip(",")
    assert all(heaviest in text for text in found.prompts)
    assert "very" not in found.prompts[0].split()


def test_words_are_the_prompts_in_their_order(reader: Shortener) -> None:
    prompt = "a red castle, at night"
    assert " ".join(word for word, _ in reader.shorten(prompt).weights) == prompt


def test_a_prompt_beyond_one_reading_is_weighed_to_its_end(reader: Shortener) -> None:
    idle = ["very"] * WINDOW
    told: list[float] = []
    found = reader.shorten(" ".join(["a red castle", *idle, *idle, "at night"]), told.append)
    weights = dict(found.weights)
    assert weights["red"] > 0.3
    assert weights["night"] > 0.3
    assert told[-1] == 1
    assert len(told) == 3


def test_one_word_cannot_be_shortened(reader: Shortener) -> None:
    found = reader.shorten("castle")
    assert found.weights == (("castle", 1.0),)
    assert found.prompts == ()


@pytest.mark.parametrize("folder", ["sd_folder", "sd2_folder", "sdxl_folder"])
def test_each_family_can_read(folder: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(folder)
    found = Shortener(loading.load(str(path), CPU)).shorten("a red castle at night")
    assert len({weight for _, weight in found.weights}) > 1
    assert all(0 <= weight <= 1 for _, weight in found.weights)


def test_it_stops_where_its_progress_is_told(reader: Shortener) -> None:
    def stop(fraction: float) -> None:
        raise InterruptedError(fraction)

    with pytest.raises(InterruptedError):
        reader.shorten("a red castle", stop)


@given(
    some.lists(some.tuples(some.sampled_from(["a", "red,", "fox", ",", "."]), some.floats(0, 1)), max_size=30)
)
def test_shorter_prompts_are_of_the_words_in_order_and_ever_shorter(weighed: list[tuple[str, float]]) -> None:
    words, weights = [word for word, _ in weighed], [weight for _, weight in weighed]
    prompts = shorter(words, weights)
    assert len(prompts) == min(5, max(0, len(words) - 1))
    assert all(prompts)
    counts = [len(words), *(len(text.split()) for text in prompts)]
    assert all(one >= other for one, other in itertools.pairwise(counts))
    for text in prompts:
        left = iter(" ".join(words))
        assert all(letter in left for letter in text)
