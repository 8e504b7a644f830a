"""Banned words are found however they are written, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.word_filter import ForbiddenWords, check, forbidden_words
from bot import errors


@pytest.mark.parametrize(
    "prompt",
    [
        "a red castle on green hills at night, watercolor",
        "a naked tree in winter",
        "a child with a red balloon",
        "a human skull",
        "a baby fox in a minor key",
        "Sussex, Essex and the assassin of Scunthorpe",
        "",
        "狐狸",
    ],
)
def test_ordinary_prompts_pass(prompt: str) -> None:
    assert forbidden_words(prompt) == ()


@pytest.mark.parametrize(
    "prompt",
    ["jailbait", "JAILBAIT", "Jail\u200bbait", "jаilbаit", "j4ilb41t", "ja1lba1t", "j a i l b a i t",
     "jáïlbait", "jail.bait", "jaaaailbait", "ｊａｉｌｂａｉｔ", "𝖏𝖆𝖎𝖑𝖇𝖆𝖎𝖙", "(jailbait)", "a jailbait, b"],
)  # fmt: skip
def test_a_word_is_found_behind_its_disguises(prompt: str) -> None:
    assert forbidden_words(prompt) == ("jailbait",)


def test_the_worst_is_refused_wherever_its_two_words_stand() -> None:
    assert forbidden_words("a nude, tall and pale child") == ("nude … child",)
    assert forbidden_words("little girl by the sea, erotic art") == ("erotic … little girl",)


def test_a_guilds_words_are_matched_whole() -> None:
    assert forbidden_words("a glass of gin", ["ass", "gin"]) == ("gin",)
    assert forbidden_words("the Dark  Lord rises", ["dark lord"]) == ("dark lord",)
    assert forbidden_words("the darkest lord", ["dark lord"]) == ()
    assert forbidden_words("ein BÜRO", ["buro"]) == ("buro",)
    assert forbidden_words("чёрный кот", ["черныи", "кот"]) == ("черныи", "кот")
    assert forbidden_words("一个裸体的人", ["裸体"]) == ("裸体",)
    assert forbidden_words("a fox", ["", "  ", "!!"]) == ()


def test_a_refusal_names_the_words_and_gives_the_prompt_back() -> None:
    with pytest.raises(ForbiddenWords) as caught:
        check("a spider in a web", {"banned_words": ["spider"]}, echo="a spider in a web --ar 3:2")
    sentence = errors.sentence(caught.value)
    assert "`spider`" in sentence
    assert "```\na spider in a web --ar 3:2\n```" in sentence
    check("a cat", {"banned_words": ["spider"]}, echo="a cat")
    check("a spider", {}, echo="a spider")


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=5))
def test_any_prompt_and_any_list_can_be_compared(prompt: str, banned: list[str]) -> None:
    assert set(forbidden_words(prompt, banned)) >= set(forbidden_words(prompt))


@given(st.from_regex(r"[a-zA-Zéüñ]{3,12}", fullmatch=True))
def test_a_banned_word_is_found_in_itself(word: str) -> None:
    assert word in forbidden_words(f"draw {word.upper()} now", [word])
