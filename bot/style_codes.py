"""Style codes: a number that stands for a look, the same whoever types it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from storage.catalog import ModelEntry
from storage.contract import SEED_SPACE

MIX = 2
"""Of the model's looks, how many a code mixes."""


def style_words(codes: Sequence[int], entry: ModelEntry) -> str:
    """The looks that the codes pick of the model's, each once; nothing where the model has none."""
    looks = entry.style_phrases
    picked = (look for code in codes for look in random.Random(code).sample(looks, min(MIX, len(looks))))
    return ", ".join(dict.fromkeys(picked))


def style_weight(typed: int) -> int:
    """How strongly the looks are blended in, 0–1000, for `--sw` 0–1000.

    Midjourney's default of 100 is plainly seen there, so the curve rises early: 100 is half of the way.
    """
    return round(1000 * math.pow(typed / 1000, 0.3))


def random_code() -> int:
    return random.SystemRandom().randrange(SEED_SPACE)
