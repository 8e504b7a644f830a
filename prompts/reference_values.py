"""Values of the flags by which pictures steer: style codes, links to pictures, and control networks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompts.catalog_values import named_weight
from prompts.image_links import ImageLink, single, words
from prompts.tokenizer import TokenizedPrompt
from prompts.translation import _
from prompts.values import IDLE, Codes, Idle, Number, Problem, Scope, WrongValue, one_of
from storage.contract import HEAVIEST_STEERING, MOST_REFERENCES, SEED_SPACE, Control, Role

RANDOM_CODE = re.compile(r"(?<!\S)random(?=::|\s|$)", re.IGNORECASE)
"""Placeholder for a style code that is yet to be drawn."""
_LEAST_CONTROL = 0.05
MOST_EDITED = 4


def _code(word: str) -> str:
    """A code without the weight behind its `::`."""
    code, mark, weight = word.partition("::")
    if mark and not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", weight):
        raise WrongValue(Problem.WRONG, word, code)
    return code


def _words(typed: str, most: int) -> list[str]:
    found = words(typed)
    if not found:
        raise WrongValue(Problem.MISSING, "")
    if len(found) > most:
        raise WrongValue(Problem.SURPLUS, " ".join(found[most:]))
    return found


def _link(word: str) -> ImageLink | None:
    """The link that a word is, with the weight behind its `::`."""
    link = single(word)
    if link and (link.weight < 0 or "::" in link.url):
        raise WrongValue(Problem.WRONG, word, link.url.partition("::")[0])
    return link


@dataclass(frozen=True)
class Styles:
    """Numbers that stand for styles, and links to pictures in one; the value is a tuple of both."""

    most: int = MOST_REFERENCES
    form: str = "CODE"

    def expected(self, scope: Scope) -> str:
        if Role.STYLE in scope.entry.adapters:
            return _(
                "up to {most} styles, each a link to a picture, a number up to {largest} or `random`"
            ).format(most=self.most, largest=SEED_SPACE - 1)
        return _("up to {most} style codes, each a number up to {largest} or `random`").format(
            most=self.most, largest=SEED_SPACE - 1
        )

    def read(self, typed: str, scope: Scope) -> tuple[int | ImageLink, ...]:
        return tuple(self._style(word, scope) for word in _words(typed, self.most))

    def _style(self, word: str, scope: Scope) -> int | ImageLink:
        if link := _link(word):
            if Role.STYLE not in scope.entry.adapters:
                raise WrongValue(Problem.LINK, word)
            return link
        code = _code(word)
        if RANDOM_CODE.fullmatch(code):
            return 0
        if not re.fullmatch(r"[0-9]{1,10}", code) or int(code) >= SEED_SPACE:
            raise WrongValue(Problem.WRONG, word)
        return int(code)


@dataclass(frozen=True)
class ImageLinks:
    """Links to pictures for one of the model's image adapters. IDLE where it has none."""

    role: Role
    most: int
    form: str = "LINK"

    def expected(self, scope: Scope) -> str:
        if self.role not in scope.entry.adapters:
            return _("codes or links")
        return _("a link to a picture") if self.most == 1 else _("links to pictures")

    def read(self, typed: str, scope: Scope) -> tuple[ImageLink, ...] | Idle:
        typed_words = _words(typed, self.most)
        if self.role not in scope.entry.adapters:
            return IDLE
        return tuple(self._read(word) for word in typed_words)

    @staticmethod
    def _read(word: str) -> ImageLink:
        link = _link(word)
        if link is None:
            raise WrongValue(Problem.WRONG, word)
        return link


@dataclass(frozen=True)
class Edited:
    """Pictures that are to be changed, and what is said of how."""

    images: tuple[ImageLink, ...]
    words: str


@dataclass(frozen=True)
class Edit:
    """Links to pictures, then an instruction; the value is a tuple of one `Edited`."""

    form: str = "LINK"

    def expected(self, scope: Scope) -> str:  # noqa: ARG002
        return _("up to {most} links to pictures, then words").format(most=MOST_EDITED)

    def read(self, typed: str, scope: Scope) -> tuple[Edited]:  # noqa: ARG002
        found = TokenizedPrompt(typed)
        if not found.images:
            raise WrongValue(Problem.WRONG if typed else Problem.MISSING, typed)
        if len(found.images) > MOST_EDITED:
            raise WrongValue(Problem.WRONG, " ".join(image.url for image in found.images))
        return (Edited(found.images, found.words),)


@dataclass(frozen=True)
class ReferenceWeight:
    """Strength of one of the model's image adapters. IDLE where it has none."""

    role: Role
    number: Number
    form: str = "N"

    def expected(self, scope: Scope) -> str:
        return self.number.expected(scope)

    def read(self, typed: str, scope: Scope) -> float | Idle:
        found = self.number.read(typed, scope)
        return found if self.role in scope.entry.adapters else IDLE


@dataclass(frozen=True)
class ControlKind:
    """One of the model's control networks with its weight. IDLE where it has none."""

    form: str = "KIND"

    def expected(self, scope: Scope) -> str:
        kinds = [*scope.entry.controls]
        if not kinds:
            return _("a kind, where a model has control networks")
        return _("{names}, perhaps with a weight up to {high:g} such as `{example}:.8`").format(
            names=one_of(kinds), high=HEAVIEST_STEERING, example=kinds[0]
        )

    def read(self, typed: str, scope: Scope) -> Control | Idle:
        if not scope.entry.controls:
            Codes(0).read(typed, scope)
            return IDLE
        weights = Number(_LEAST_CONTROL, HEAVIEST_STEERING)
        kind, weight = named_weight(typed, scope.entry.controls, weights, scope)
        return Control(kind=kind, weight=weight)
