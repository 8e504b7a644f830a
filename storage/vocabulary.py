"""Words, and whether a small model's vocabulary has them."""

from __future__ import annotations

import re
from collections.abc import Collection

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_in(text: str) -> list[str]:
    """The text's words in their order, in lower case."""
    return [word.casefold() for word in _WORD.findall(text)]


def has(vocabulary: Collection[str], word: str) -> bool:
    """True where a word is there, or what stands before its apostrophe."""
    stem, mark, _ = word.replace("’", "'").partition("'")
    return word in vocabulary or (bool(mark) and stem in vocabulary)
