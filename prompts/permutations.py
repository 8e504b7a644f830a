r"""Permutations: `a {red, blue} fox` is two commands, and several sets multiply.

A set is a pair of braces with a comma between them, Chinese ones too; sets may stand within sets. `\,`, `\{`
and `\}` are text. Braces without a comma, and braces that lack their partner, are text as well.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from prompts.tokenizer import CLOSING, OPENING, SEPARATORS

_MARK = re.compile(rf"\\.|[{OPENING}{CLOSING}{SEPARATORS}]", re.DOTALL)
_ESCAPED = re.compile(rf"\\([{SEPARATORS}])")


@dataclass
class _Braces:
    """A pair of braces that may turn out to be a set; the outermost has none and is the whole text."""

    start: int
    commas: list[int] = field(default_factory=list)
    earlier: int = 0
    """Alternatives of its items up to the last comma."""
    item: int = 1
    """Alternatives of the item after that."""
    whole: int = 1
    """Alternatives where its commas are text."""

    def multiply(self, alternatives: int) -> None:
        self.item *= alternatives
        self.whole *= alternatives

    def next_item(self, comma: int) -> None:
        self.commas.append(comma)
        self.earlier += self.item
        self.item = 1


@dataclass(frozen=True)
class Permutations:
    text: str
    sets: dict[int, tuple[int, ...]]
    """Of each set, by the place of its opening brace: the places of its commas and its closing brace."""
    count: int

    def texts(self) -> list[str]:
        """Every alternative, the first set varying slowest. Look at `count` first: it may be astronomical."""
        return [_plain(text) for text in self._between(0, len(self.text))]

    def _between(self, start: int, end: int) -> list[str]:
        pieces: list[list[str]] = []
        place = start
        for opening in sorted(brace for brace in self.sets if start <= brace < end):
            if opening >= place:
                pieces += [[self.text[place:opening]], self._items(opening)]
                place = self.sets[opening][-1] + 1
        pieces.append([self.text[place:end]])
        return ["".join(chosen) for chosen in itertools.product(*pieces)]

    def _items(self, opening: int) -> list[str]:
        stops = self.sets[opening]
        starts = (opening, *stops[:-1])
        return [
            text.strip()
            for start, end in zip(starts, stops, strict=True)
            for text in self._between(start + 1, end)
        ]


def _plain(text: str) -> str:
    """Without the escapes of commas, unless it would be a set without them."""
    plain = _ESCAPED.sub(r"\1", text)
    return plain if permutations(plain).count == 1 else text


def permutations(text: str) -> Permutations:
    sets: dict[int, tuple[int, ...]] = {}
    outside = _Braces(-1)
    opened = [outside]
    for mark in _MARK.finditer(text):
        if mark[0] in OPENING:
            opened.append(_Braces(mark.start()))
        elif mark[0] in SEPARATORS:
            opened[-1].next_item(mark.start())
        elif mark[0] in CLOSING and len(opened) > 1:
            braces = opened.pop()
            if braces.commas:
                sets[braces.start] = (*braces.commas, mark.start())
            opened[-1].multiply(braces.earlier + braces.item if braces.commas else braces.whole)
    count = 1
    for unclosed in opened:
        count *= unclosed.whole
    return Permutations(text, sets, count)
