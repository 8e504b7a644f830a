"""Several things in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from bot.translation import _


def listed(names: Sequence[str], last: str | None = None) -> str:
    """`this, that and the other`; `last` is the word before the last of them."""
    if len(names) < 2:
        return "".join(names)
    return f"{_(', ').join(names[:-1])} {last or _('and')} {names[-1]}"


def few(names: Sequence[str], most: int = 12) -> Sequence[str]:
    if len(names) <= most:
        return names
    return [*names[:most], _("{number} more").format(number=len(names) - most)]
