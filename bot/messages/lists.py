"""Several things in one sentence."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], last: str = "and") -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def few(names: Sequence[str], most: int = 12) -> Sequence[str]:
    return names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
