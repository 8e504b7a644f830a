"""Several things in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from prompts.translation import _


def listed(names: Sequence[str]) -> str:
    """`this, that and the other`."""
    return _joined(names, _("{names} and {last}"))


def either(names: Sequence[str]) -> str:
    """`this, that or the other`."""
    return _joined(names, _("{names} or {last}"))


def _joined(names: Sequence[str], pattern: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return pattern.format(names=_(", ").join(names[:-1]), last=names[-1])


def few(names: Sequence[str], most: int = 12) -> Sequence[str]:
    if len(names) <= most:
        return names
    return [*names[:most], _("{number} more").format(number=len(names) - most)]
