"""Which words matter, and what is left without the others: read by Picturebook, and by tiny models."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from generator.companions.shorten import STEPS, WINDOW, Shortener, shorter
from generator.families import loading
from storage import catalog
from tests.generator import tiny

CPU = torch.device("cpu")


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.exhaustive)


@pytest.fixture(scope="module")
def reader() -> Shortener:
    entry = catalog.load()["picturebook"]
    return Shortener(loading.load(entry.source, CPU), knows=entry.knows)


@pytest.mark.parametrize(
    ("prompt", "subject", "adjectives"),
    [
        ("a red castle", "castle", ("red",)),
        ("please draw a small black bird", "bird", ("black", "small")),
        slow("a pink rabbit", "rabbit", ("pink",)),
        slow("an orange balloon in the cloudy sky", "balloon", ("orange", "cloudy")),
        slow("a purple mushroom in the forest, award winning", "mushroom", ("purple",)),
        slow("a red castle on green hills at night", "castle", ("red", "green")),
        ("a yellow unicorn car and a dragon", "car", ("yellow",)),
    ],
)
def test_a_subject_outweighs_its_adjectives_and_these_what_is_idle(
    reader: Shortener, prompt: str, subject: str, adjectives: tuple[str, ...]
) -> None:
    weights = dict(reader.shorten(prompt).weights)
    assert weights[subject] > max(weights[word] for word in adjectives)
    idle = [
        weights[word] for word in ("please", "draw", "a", "an", "in", "the", "on", "and") if word in weights
    ]
    assert weights[adjectives[0]] > 2 * max(idle)


def test_words_that_the_model_does_not_know_weigh_nothing_and_are_not_proposed(reader: Shortener) -> None:
    found = reader.shorten("a dragon, red castle with 一只狐狸 and steampunk-castle zzyzx")
    weights = dict(found.weights)
    unknown = ("dragon,", "一只狐狸", "steampunk-castle", "zzyzx")
    assert [weights[word] for word in unknown] == [0, 0, 0, 0]
    assert found.prompts[0] == "a red castle with and"
    assert weights == pytest.approx(
        {**dict(reader.shorten("a red castle with and").weights), **dict.fromkeys(unknown, 0)}
    )


def test_what_is_left_without_unknown_words_is_proposed_though_it_is_one_word(reader: Shortener) -> None:
    assert reader.shorten("castle zzyzx").prompts == ("castle",)
    assert reader.shorten("dragon zzyzx").prompts == ()


def test_words_that_name_something_outweigh_the_others(reader: Shortener) -> None:
    found = reader.shorten("please draw a blue boat on the sea under the moon")
    weights = dict(found.weights)
    named = [weights[word] for word in ("blue", "boat", "sea", "moon")]
    idle = [weights[word] for word in ("please", "draw", "on", "the", "under")]
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
    prompt = "red castle, night"
    assert " ".join(word for word, _ in reader.shorten(prompt).weights) == prompt


@pytest.mark.exhaustive
def test_a_prompt_beyond_one_reading_is_weighed_to_its_end(reader: Shortener) -> None:
    idle = ["very"] * WINDOW
    told: list[float] = []
    found = reader.shorten(" ".join(["a red castle", *idle, *idle, "at night"]), told.append)
    weights = dict(found.weights)
    assert weights["red"] > 0.3
    assert weights["night"] > 0.3
    assert told[-1] == 1
    assert told == sorted(told)
    assert len(told) == 3 * STEPS


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


@pytest.mark.parametrize(("told", "side"), [(None, 512), (8, 64), ([8, 16], 128)])
def test_words_are_weighed_at_the_size_that_the_unet_tells(
    tmp_path: Path, told: int | list[int] | None, side: int
) -> None:
    """Converted checkpoints tell none."""
    folder = tiny.make_sd(tmp_path / "model", checker=False)
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "sample_size": told}))
    family = loading.load(str(folder), CPU)
    assert family.native_side == side
    weights = dict(Shortener(family).shorten("red fox").weights)
    assert weights.keys() == {"red", "fox"}
    assert max(weights.values()) == 1
