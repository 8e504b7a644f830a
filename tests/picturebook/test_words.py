"""The words, the captions and the tokenizer agree."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picturebook import words
from picturebook.captions import article, caption, full_caption
from picturebook.scenes import Scene, random_scene
from picturebook.tokenizer import LENGTH, learn_merges, new_tokenizer

KNOWN = set(words.all_words())
TOKENIZER = new_tokenizer()
UNKNOWN_SHARE = 0.06


def scene_of(seed: int) -> Scene:
    return random_scene(random.Random(seed))


@pytest.mark.parametrize(
    ("phrase", "whole"),
    [("orange fox", "an orange fox"), ("red castle", "a red castle"), ("ivory cat", "an ivory cat")],
)
def test_article(phrase: str, whole: str) -> None:
    assert article(phrase) == whole


@given(st.integers(0, 10**6))
def test_articles_stand_right_in_every_caption(seed: int) -> None:
    rng = random.Random(seed)
    text = caption(scene_of(seed), rng)
    for small, following in re.findall(r"\b(an?) ([a-z]+)\b", text):
        if following in KNOWN:
            assert (small == "an") == (following[0] in "aeiou"), text


@given(st.integers(0, 10**6))
def test_captions_hold_known_words_and_at_most_one_unknown(seed: int) -> None:
    text = caption(scene_of(seed), random.Random(seed))
    unknown = [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in KNOWN]
    assert len(unknown) <= 1, text


@given(st.integers(0, 10**6))
def test_full_caption_names_everything(seed: int) -> None:
    scene = scene_of(seed)
    text = full_caption(scene)
    for value in (scene.subject, scene.colour):
        assert value in text
    for phrase in (words.GROUNDS[scene.ground][0], words.TIMES[scene.time][0], words.SKIES[scene.sky][0]):
        assert phrase in text


def test_every_known_word_is_one_token() -> None:
    assert [word for word in KNOWN if len(TOKENIZER.tokenize(word)) != 1] == []


def test_merges_build_every_word() -> None:
    assert ("a", "b</w>") in learn_merges(["ab", "cab"])


@given(st.text(max_size=400))
def test_any_text_tokenises(text: str) -> None:
    row = TOKENIZER(text, padding="max_length", max_length=LENGTH, truncation=True).input_ids
    assert len(row) == LENGTH
    assert row[0] == TOKENIZER.bos_token_id
    assert TOKENIZER.eos_token_id in row
    assert max(row) < len(TOKENIZER)


def test_unknown_words_fall_into_letters() -> None:
    assert TOKENIZER.tokenize("xyzzy") == ["x", "y", "z", "z", "y</w>"]


def test_names_of_tables_agree() -> None:
    assert list(words.GROUNDS) == list(words.GROUND_NOUNS)
    assert list(words.TIMES) == list(words.TIME_NOUNS)
    assert list(words.SKIES) == list(words.SKY_NOUNS)
    assert len(words.SUBJECTS) >= 12
    assert not set(words.SUBJECTS) & set(words.FORBIDDEN)
