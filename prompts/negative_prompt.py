"""Value of `--no`, weighed as the text is: `(low quality:1.4), fog`, `fog::2 rain`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prompts import weights
from prompts.tokenizer import items
from prompts.translation import _
from prompts.values import Problem, Scope, WrongValue
from storage.contract import Part, Phrase

Negative = tuple[Part, ...]
"""Parts that one `--no` names; none where all of it weighs 0."""


@dataclass(frozen=True)
class Unwanted:
    """Things with commas between them. The value holds one `Negative`, for several to be joined."""

    form: str = "A, B"

    def expected(self, scope: Scope) -> str:  # noqa: ARG002
        return _("words with commas between them")

    def read(self, typed: str, scope: Scope) -> tuple[Negative]:  # noqa: ARG002
        named = items(typed)
        if not named:
            raise WrongValue(Problem.MISSING, typed)
        parts = weights.parts_of(", ".join(named))
        below = [part.weight for part in parts if part.weight < 0]
        if below:
            raise WrongValue(Problem.WEIGHT_BELOW, f"{below[0]:g}")
        return (weights.shared(tuple(part for part in parts if part.weight)),)


def joined(typed: Iterable[Negative]) -> Negative:
    """Several values of `--no` as one list, beside which multi-prompts stand by their own weights."""
    named = [parts for parts in typed if parts]
    lists = [parts[0].phrases for parts in named if len(parts) == 1]
    several = [part for parts in named if len(parts) > 1 for part in parts]
    if not lists:
        return tuple(several)
    first, *others = lists
    phrases = [*first, *(phrase for each in others for phrase in (Phrase(text=", "), *each))]
    return (Part(phrases=tuple(phrases)), *several)
