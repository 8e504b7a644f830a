"""Search terms of `/history`, in a form that fits beside a page's ids in a `custom_id`."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from prompts.markdown import length
from storage.catalog import Catalog
from storage.contract import Action

T = TypeVar("T")

WORDS_LENGTH = 50
"""UTF-16 units of the words that fit a `custom_id` beside its ids."""
GRIDS, UPSCALES = "grids", "upscales"
KINDS = (GRIDS, UPSCALES)
DAYS = (1, 7, 30)
_UPSCALES = frozenset(action for action in Action if action.enlarges)
_ACTIONS = {GRIDS: frozenset(Action) - _UPSCALES, UPSCALES: _UPSCALES}
_MODEL_BITS = 32


@dataclass(frozen=True)
class Search:
    """`kind` is one of KINDS, `days` one of DAYS, `model` a name's `model_number`; None for all."""

    words: str = ""
    favorites: bool = False
    kind: str | None = None
    days: int | None = None
    model: int | None = None

    @classmethod
    def of(cls, number: int, words: str | None) -> Self:
        """Read a search from the `number` and `words` of a `custom_id`."""
        kind, days = number >> 1 & 3, number >> 3 & 3
        return cls(
            words or "",
            bool(number & 1),
            KINDS[kind - 1] if 0 < kind <= len(KINDS) else None,
            DAYS[days - 1] if days else None,
            number >> 8 & (1 << _MODEL_BITS) - 1 or None,
        )

    @property
    def number(self) -> int:
        """All but the words."""
        kind = 0 if self.kind is None else KINDS.index(self.kind) + 1
        days = 0 if self.days is None else DAYS.index(self.days) + 1
        return int(self.favorites) | kind << 1 | days << 3 | (self.model or 0) << 8

    @property
    def narrowed(self) -> bool:
        """True if anything but words and favorites narrows the search."""
        return (self.kind, self.days, self.model) != (None, None, None)

    @property
    def actions(self) -> Collection[Action]:
        """The actions whose pictures are shown; none for all."""
        return frozenset() if self.kind is None else _ACTIONS[self.kind]

    def model_name(self, catalog: Catalog) -> str | None:
        """The model whose pictures are shown; None for all, or where it is not installed any more."""
        found = (name for name in catalog.models if model_number(name) == self.model)
        return None if self.model is None else next(found, None)

    def choose(self, values: Sequence[str]) -> Self:
        """The same with what is chosen in the menu of filters. Of two that exclude each other the new one."""
        kinds = [value for value in values if value in KINDS]
        days = [int(value) for value in values if value.isdecimal() and int(value) in DAYS]
        models = [int(value[1:]) for value in values if value[:1] == "m" and value[1:].isdecimal()]
        return replace(
            self,
            kind=_newest(kinds, self.kind),
            days=_newest(days, self.days),
            model=_newest(models, self.model),
        )


def _newest(chosen: Sequence[T], before: T | None) -> T | None:
    return next((value for value in chosen if value != before), before if chosen else None)


def model_number(name: str) -> int:
    """A short number for a model's name, which may itself be long."""
    return zlib.crc32(name.encode())


def fitting(words: str) -> str:
    """As much of the words as a `custom_id` has room for."""
    kept = " ".join(words.split())
    while length(kept) > WORDS_LENGTH:
        kept = kept[:-1]
    return kept
