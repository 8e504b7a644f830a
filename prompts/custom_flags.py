"""A member's own flags and suffix for all of their commands: tried when they are set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from prompts.diagnostics import FlagError, FlagProblem, refuse, refuse_many
from prompts.flags import BY_NAME
from prompts.pasted.normalizer import read, settled
from prompts.permutations import permutations
from prompts.precedence import GivenFlag, Source, choose
from prompts.tokenizer import DASHES, TypedFlag, clean
from prompts.values import Problem, Scope
from storage.catalog import Catalog

MOST_OPTIONS = 20
LONGEST_SUFFIX = 1000
"""Characters of a suffix, and of what an option stands for."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def check_suffix(text: str, catalog: Catalog) -> str:
    """The suffix as it is to be stored; an empty one is none.

    Raises:
        FlagError: there is text in it, or a flag that no model takes.
    """
    divided, _ = settled(text)
    if divided.text:
        raise FlagError([FlagProblem(Problem.SUFFIX_TEXT, given=divided.text)], clean(text))
    _check_length(text)
    _check_flags(divided.flags, catalog, clean(text))
    return str(divided)


def check_option(name: str, value: str, options: Mapping[str, str], catalog: Catalog) -> tuple[str, str]:
    """A flag of the member's own and what it stands for, text or flags, as they are to be stored.

    `options` are those that the member has.

    Raises:
        FlagError: the name is none or taken, the value is empty or could not be drawn, or there are too many.
    """
    own, meant = clean(name).lstrip(DASHES).lower(), read(value).line
    echo = str(TypedFlag(own, meant))
    if not _NAME.fullmatch(own):
        raise FlagError([FlagProblem(Problem.OPTION_NAME, own)], echo)
    if own in BY_NAME:
        raise FlagError([FlagProblem(Problem.OPTION_TAKEN, own)], echo)
    if not meant:
        raise FlagError([FlagProblem(Problem.OPTION_EMPTY, own)], echo)
    if own not in options and len(options) >= MOST_OPTIONS:
        raise FlagError([FlagProblem(Problem.OPTIONS_FULL, own)], echo)
    _check_length(meant)
    alternatives = permutations(meant)
    refuse_many(alternatives.count, echo)
    for alternative in alternatives.texts():
        _check_flags(settled(alternative)[0].flags, catalog, echo)
    return own, meant


def _check_length(text: str) -> None:
    if len(text) > LONGEST_SUFFIX:
        fault = FlagProblem(Problem.TOO_LONG, given=str(len(text)), expected=str(LONGEST_SUFFIX))
        raise FlagError([fault], text)


def _check_flags(flags: Iterable[TypedFlag], catalog: Catalog, echo: str) -> None:
    """True if some model takes them."""
    given = [GivenFlag(flag, Source.TEXT) for flag in flags]
    found = (choose(given, Scope(catalog, entry)).faults for entry in catalog.models.values())
    refuse(min(found, key=len), echo)
