"""The kinds of values that flags take: how each is read, and how its range is said."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from typing import Protocol

from prompts.translation import _
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.catalog_values import plain_name

_LONGEST_VALUE = 400
MOST_NAMES = 24
"""Names of a choice that a sentence gives."""


class Problem(Enum):
    """Kinds of faults of a command; `bot/messages/` has a sentence for each."""

    UNKNOWN = auto()
    MISSING = auto()
    WRONG = auto()
    OFF = auto()
    SURPLUS = auto()
    UNSUPPORTED = auto()
    EMPTY = auto()
    TOO_LONG = auto()
    TOO_MANY = auto()
    WEIGHT = auto()
    WEIGHT_SUM = auto()
    WEIGHT_BELOW = auto()
    EMPHASIS = auto()
    LINK = auto()
    NO_PICTURE = auto()
    SUFFIX_TEXT = auto()
    OPTION_NAME = auto()
    OPTION_TAKEN = auto()
    OPTION_EMPTY = auto()
    OPTIONS_FULL = auto()


class WrongValue(Exception):
    def __init__(self, problem: Problem, given: str, suggestion: str | None = None) -> None:
        super().__init__(given)
        self.problem = problem
        self.given = given
        self.suggestion = suggestion


@dataclass(frozen=True)
class Scope:
    """Catalog and model of a command, on which a flag's range may depend."""

    catalog: Catalog
    entry: ModelEntry


class Idle(Enum):
    """Marker for a value that is right in Midjourney and has no meaning here."""

    IDLE = auto()


IDLE = Idle.IDLE


class Value(Protocol):
    @property
    def form(self) -> str:
        """Placeholder behind the flag's name in help, such as `W:H`."""

    def expected(self, scope: Scope) -> str:
        """The range in words, to follow "takes"."""

    def read(self, typed: str, scope: Scope) -> object:
        """The value as the request wants it, or IDLE.

        Raises:
            WrongValue: it is missing, wrong, or followed by text that is no part of it.
        """


_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ",
    0x2236: ":",
    0x3002: ".",
}
_BEHIND = re.compile(
    r"(?:\s*(?:[,.;:!?…|/+&)\]}>'\"“”’`*、=]|\band\b|[\u2600-\u27BF\u2B00-\u2BFF\u200D\uFE0F\u20E3\u2190-\u21FF]"
    r"|[\U0001F000-\U0001FAFF]))+\s*$"
)
_BEHIND_LIST = re.compile(
    r"(?:\s*(?:[.;|。；…]|[\u2600-\u27BF\u2B00-\u2BFF\u200D\uFE0F]|[\U0001F000-\U0001FAFF]))+\s*$"
)
_IN_FRONT = re.compile(r"""^[\s:=,'"“‘`(\[<*]+""")


def plain_value(typed: str) -> str:
    """A value without the punctuation, brackets and pictures round it, its full-width letters plain."""
    plain = typed.translate(_FULL_WIDTH).strip()
    if len(plain) > _LONGEST_VALUE:
        return plain
    return _IN_FRONT.sub("", _BEHIND.sub("", plain))


def plain_list(typed: str) -> str:
    """Words of a list without what ends a sentence behind them."""
    plain = typed.strip().removeprefix(":").removeprefix("：").strip()
    return plain if len(plain) > _LONGEST_VALUE else _BEHIND_LIST.sub("", plain)


def single(typed: str) -> str:
    words = typed.split()
    if not words:
        raise WrongValue(Problem.MISSING, "")
    if len(words) > 1:
        raise WrongValue(Problem.SURPLUS, " ".join(words[1:]))
    return words[0]


@dataclass(frozen=True)
class Nothing:
    also: str | None = None
    """A value that says no more than the flag itself, such as the 1 of `--video 1`."""
    form: str = ""

    def expected(self, scope: Scope) -> str:  # noqa: ARG002
        return _("no value")

    def read(self, typed: str, scope: Scope) -> object:  # noqa: ARG002
        if typed and typed != self.also:
            raise WrongValue(Problem.SURPLUS, typed)
        return True


@dataclass(frozen=True)
class Whole:
    low: int
    high: int | Callable[[ModelEntry], int]
    form: str = "N"

    def expected(self, scope: Scope) -> str:
        return _("a whole number from {low} to {high}").format(low=self.low, high=self._high(scope))

    def read(self, typed: str, scope: Scope) -> int:
        word = single(typed)
        high = self._high(scope)
        if re.fullmatch(r"[0-9]{1,15}", word) and self.low <= int(word) <= high:
            return int(word)
        nearest = None
        if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", word):
            nearest = f"{min(max(round(float(word[:20])), self.low), high)}"
        raise WrongValue(Problem.WRONG, word, nearest)

    def _high(self, scope: Scope) -> int:
        return self.high if isinstance(self.high, int) else self.high(scope.entry)


@dataclass(frozen=True)
class Number:
    low: float
    high: float
    form: str = "N"

    def expected(self, scope: Scope) -> str:  # noqa: ARG002
        return _("a number from {low:g} to {high:g}").format(low=self.low, high=self.high)

    def read(self, typed: str, scope: Scope) -> float:  # noqa: ARG002
        word = single(typed)
        if not re.fullmatch(r"[+-]?([0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15})", word):
            raise WrongValue(Problem.WRONG, word)
        number = float(word)
        if not self.low <= number <= self.high:
            raise WrongValue(Problem.WRONG, word, f"{min(max(number, self.low), self.high):g}")
        return number


@dataclass(frozen=True)
class Ratio:
    """Width to height. The value is a float, width ÷ height."""

    limit: int
    form: str = "W:H"

    def expected(self, scope: Scope) -> str:  # noqa: ARG002
        return _("width:height, such as 3:2, up to {limit}:1 or 1:{limit}").format(limit=self.limit)

    def read(self, typed: str, scope: Scope) -> float:  # noqa: ARG002
        word = single(typed)
        match = re.fullmatch(r"([0-9]{1,5}(?:\.[0-9]{1,5})?):([0-9]{1,5}(?:\.[0-9]{1,5})?)", word)
        if match and float(match[1]) and float(match[2]):
            ratio = float(match[1]) / float(match[2])
            if 1 / self.limit <= ratio <= self.limit:
                return ratio
        raise WrongValue(Problem.WRONG, word, self._nearest(word))

    def _nearest(self, word: str) -> str | None:
        word = word.replace(".", ":") if re.fullmatch(r"[0-9]{1,2}\.[0-9]{1,2}", word) else word
        match = re.fullmatch(r"([0-9]{1,5}(?:\.[0-9]{1,5})?)(?:[:x×/.]([0-9]{1,5}(?:\.[0-9]{1,5})?))?", word)
        if match is None:
            return None
        width, height = Fraction(match[1]), Fraction(match[2] or "1")
        if not width or not height:
            return None
        ratio = min(max(width / height, Fraction(1, self.limit)), Fraction(self.limit))
        ratio = ratio if ratio.denominator < 100 else ratio.limit_denominator(32)
        return f"{ratio.numerator}:{ratio.denominator}"


def chosen(typed: str, names: Iterable[str]) -> str:
    if not typed:
        raise WrongValue(Problem.MISSING, "")
    plain = {plain_name(name): name for name in names}
    if name := plain.get(plain_name(typed)):
        return name
    first, _, rest = typed.partition(" ")
    if rest and plain_name(first) in plain:
        raise WrongValue(Problem.SURPLUS, rest)
    near = difflib.get_close_matches(plain_name(typed[:60]), plain, n=1, cutoff=0.6)
    raise WrongValue(Problem.WRONG, typed, plain[near[0]] if near else None)


def one_of(names: Sequence[str]) -> str:
    rest = _(", …") if len(names) > MOST_NAMES else ""
    return _("one of {names}{rest}").format(names=_(", ").join(names[:MOST_NAMES]), rest=rest)


@dataclass(frozen=True)
class Codes:
    """Midjourney's codes, names and links, of which nothing is known here but how many there may be."""

    least: int = 1
    most: float = 1
    form: str = "CODE"

    def expected(self, scope: Scope) -> str:  # noqa: ARG002
        number = {(0, 1): _("at most one code"), (1, 1): _("one code")}
        return number.get((self.least, int(min(self.most, 2))), _("codes or links"))

    def read(self, typed: str, scope: Scope) -> tuple[str, ...]:  # noqa: ARG002
        codes = tuple(typed.split())
        if len(codes) < self.least:
            raise WrongValue(Problem.MISSING, "")
        if len(codes) > self.most:
            raise WrongValue(Problem.SURPLUS, " ".join(codes[int(self.most) :]))
        return codes


@dataclass(frozen=True)
class Style:
    """Midjourney's named styles and tuner codes, of which `raw` alone has a meaning here."""

    form: str = "raw"

    def expected(self, scope: Scope) -> str:  # noqa: ARG002
        return "raw"

    def read(self, typed: str, scope: Scope) -> bool | Idle:  # noqa: ARG002
        return True if single(typed).casefold() == "raw" else IDLE


MANY = math.inf
