"""Format of a button's `custom_id`: `e1:<verb>:<id>[:<n>[:<text>]]`.

Messages with these ids stay in channels for ever, so a form that was shipped once is never given another
meaning: `tests/bot/custom_ids.golden` keeps them all, and a new meaning takes a new verb.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 100
"""Discord's limit, characters."""
LARGEST: Final = 2**63 - 1
"""Largest number that a column of the database holds; 19 digits can say more."""

TEMPLATE: Final = re.compile(
    r"e1:(?P<verb>[a-z0-9]+):(?P<id>[0-9]{1,19})(?::(?P<n>[0-9]{1,19})(?::(?P<text>.*))?)?", re.DOTALL
)


@dataclass(frozen=True)
class CustomId:
    """`id` is a job's or an image's, as the verb has it; `n` and `text` are the verb's own."""

    verb: str
    id: int
    n: int | None = None
    text: str | None = None

    def __str__(self) -> str:
        parts = ["e1", self.verb, str(self.id)]
        if self.n is not None:
            parts.append(str(self.n))
            if self.text is not None:
                parts.append(self.text)
        return ":".join(parts)


def parse(custom_id: str) -> CustomId:
    """Read a `custom_id` of ours; ValueError for any other."""
    match = TEMPLATE.fullmatch(custom_id)
    if match is None or int(match["id"]) > LARGEST or int(match["n"] or 0) > LARGEST:
        raise ValueError(f"{custom_id!r} is no custom_id of Easel's")
    n = match["n"]
    return CustomId(match["verb"], int(match["id"]), None if n is None else int(n), match["text"])


def numbers(values: Iterable[str]) -> list[int]:
    """Ids that were chosen in a menu; what is none, or no column holds, is left out."""
    return [int(value) for value in values if re.fullmatch(r"[0-9]{1,19}", value) and int(value) <= LARGEST]
