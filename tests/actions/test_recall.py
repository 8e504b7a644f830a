"""An earlier prompt with what is typed now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.recall import added
from prompts.normalizer import read
from prompts.tokenizer import tokenize


@pytest.mark.parametrize(
    ("earlier", "typed", "both"),
    [
        ("a fox", "at night", "a fox, at night"),
        ("a fox --ar 3:2", "at night", "a fox, at night --ar 3:2"),
        ("a fox --ar 3:2 --s 5", "--aspect 1:1", "a fox --s 5 --aspect 1:1"),
        ("a fox --seed 4", ".", "a fox --seed 4"),
        ("hot::2 dog::-1", "at night", "hot::2 dog::-1 at night"),
        ("https://x.org/a.png a fox", "at night", "https://x.org/a.png a fox, at night"),
        ("https://x.org/a.png a fox", "https://x.org/b.png at night", "https://x.org/b.png a fox, at night"),
        ("a fox", "https://x.org/b.png --iw 2", "https://x.org/b.png a fox --iw 2"),
        ("a fox --unheard 1", "--unheard 2", "a fox --unheard 2"),
    ],
)
def test_words_are_added_and_flags_replaced(earlier: str, typed: str, both: str) -> None:
    assert added(earlier, typed) == both


_PIECES = st.sampled_from(
    [
        "a fox",
        "at night",
        "::2",
        "--ar 3:2",
        "--seed 4",
        "--no mice",
        "\\-- ",
        '"--ar"',
        "https://x.org/a.png",
        ".",
    ]
)
_TEXTS = st.lists(_PIECES, max_size=6).map(" ".join)


@given(_TEXTS, _TEXTS)
def test_what_is_typed_is_all_there(earlier: str, typed: str) -> None:
    both, now = (
        tokenize(added(earlier, typed)),
        tokenize(read(typed).line),
    )
    assert both.flags[len(both.flags) - len(now.flags) :] == now.flags
    assert both.images == (now.images or tokenize(earlier).images)
    assert both.words.endswith(now.words) or not any(char.isalnum() for char in now.words)


@given(_TEXTS)
def test_nothing_typed_changes_nothing(earlier: str) -> None:
    assert added(earlier, ".") == str(tokenize(earlier))
