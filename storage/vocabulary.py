"""Words, and whether a small model's vocabulary has them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_in(text: str) -> list[str]:
    """The text's words in their order, in lower case."""
    return [word.casefold() for word in _WORD.findall(text)]


def naming(names: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of each of these names (its group `name`) as a word; None where there are no names.

    In capitals or not; the longest first, where one begins with another. ComfyUI's `embedding:` before one is
    part of it.
    """
    longest_first = sorted(names, key=len, reverse=True)
    if not longest_first:
        return None
    either = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<!\w)(?:embedding:)?(?P<name>{either})(?!\w)", re.IGNORECASE)


def has(vocabulary: Collection[str], word: str) -> bool:
    """True where a word is there, or what stands before its apostrophe."""
    stem, mark, _ = word.replace("’", "'").partition("'")
    return word in vocabulary or (bool(mark) and stem in vocabulary)
