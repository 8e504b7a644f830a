"""Variables that an operator set and nothing reads: most are misspelt."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from dotenv import dotenv_values

PREFIX = "EASEL_"
OF_TESTS = "EASEL_TEST_"
NEAR = 0.8
"""Least likeness (difflib's ratio) of two names without their prefix of which one is meant for the other."""
NEARER = 0.9
"""Least likeness of whole names: without the prefix they may well be another program's."""


def unread(known: Iterable[str], env_file: str) -> Iterator[tuple[str, str | None]]:
    """Each variable of the environment or the file that seems to be meant for Easel, and which one is meant.

    None where that cannot be told: no name is near, or the near one is set as well.
    """
    names = set(known)
    given = {**_of_file(env_file), **os.environ}
    there = {name.upper() for name, value in given.items() if value}
    for name in sorted(there - names):
        meant = _nearest(name, names)
        if (meant is None and not name.startswith(PREFIX)) or name.startswith(OF_TESTS):
            continue
        yield name, None if meant in there else meant


def _of_file(env_file: str) -> dict[str, str | None]:
    try:
        return dotenv_values(env_file, interpolate=False)
    except (OSError, UnicodeDecodeError):
        return {}  # the configuration's own reading says so


def _nearest(name: str, known: set[str]) -> str | None:
    if name.startswith(PREFIX):
        bare = {each.removeprefix(PREFIX): each for each in sorted(known)}
        near = get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=NEAR)
        return bare[near[0]] if near else None
    near = get_close_matches(name, sorted(known), n=1, cutoff=NEARER)
    return near[0] if near else None
