"""Style codes: a number that stands for a look, the same whoever types it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from storage.catalog_model import ModelEntry
from storage.contract import SEED_SPACE

MIX = 2
"""Of the model's looks, how many a code mixes."""


def style_words(codes: Sequence[int], entry: ModelEntry) -> str:
    """The looks that the codes pick of the model's, each once; nothing where the model has none."""
    looks = entry.style_phrases
    picked = (look for code in codes for look in random.Random(code).sample(looks, min(MIX, len(looks))))
    return ", ".join(dict.fromkeys(picked))


def style_weight(typed: int) -> int:
    """Strength with which the looks are blended in, 0–1000, for `--sw` 0–1000.

    Midjourney's default of 100 is plainly seen there, so the curve rises early: 100 is half of the way.
    """
    return round(1000 * math.pow(typed / 1000, 0.3))


def random_code() -> int:
    return random.SystemRandom().randrange(SEED_SPACE)


def codes_of(words: str, entry: ModelEntry) -> list[int]:
    """Codes that pick exactly these looks of the model's; nothing where it has others by now."""
    looks = _looks_in(words, entry.style_phrases)
    codes: list[int] = []
    for start in range(0, len(looks), MIX):
        wanted = looks[start : start + MIX]
        if len(wanted) < min(MIX, len(entry.style_phrases)):
            wanted = [looks[start - 1], *wanted]
        code = _code_for(wanted, entry)
        if code is None:
            return []
        codes.append(code)
    return codes if style_words(codes, entry) == words else []


def typed_weight(weight: int) -> int:
    """Value of `--sw` for this strength: of several the nearest to the default."""
    return min(range(1001), key=lambda typed: (abs(style_weight(typed) - weight), abs(typed - 100)))


def _looks_in(words: str, looks: Sequence[str]) -> list[str]:
    """The looks that were joined, from the longest on: one may have a comma."""
    longest = sorted(looks, key=len, reverse=True)
    found = []
    while words:
        look = next((each for each in longest if words == each or words.startswith(f"{each}, ")), None)
        if look is None:
            return []
        found.append(look)
        words = words[len(look) :].removeprefix(", ")
    return found


def _code_for(wanted: Sequence[str], entry: ModelEntry) -> int | None:
    looks = entry.style_phrases
    picks = (random.Random(code).sample(looks, len(wanted)) for code in range(20 * len(looks) ** 2))
    return next((code for code, picked in enumerate(picks) if picked == list(wanted)), None)
