"""Faults of a command, and notes for its writer on one that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from prompts.values import Problem
from storage.errors import Refused

MOST_FAULTS = 5
MOST_COMMANDS = 40
"""Most commands that one text may become by permutations and `--repeat`."""


class NoteKind(Enum):
    """Kinds of notes on a command that runs; `bot/messages/` has a sentence for each."""

    NO_MEANING = auto()
    NO_VERSION = auto()
    OPTION_OVERRULED = auto()
    SETTING_UNUSABLE = auto()
    SUFFIX_UNUSABLE = auto()
    CUSTOM_UNUSABLE = auto()
    SNAPPED = auto()
    SHAPE_FIXED = auto()
    STEPS_LIMITED = auto()
    SEEDS_APART = auto()
    NO_STYLES = auto()
    NO_LORAS = auto()
    NO_UPSCALERS = auto()
    NO_REFINER = auto()
    NO_ADAPTER = auto()
    NO_CONTROLS = auto()
    CODES_UNWEIGHTED = auto()
    PICTURES_UNWEIGHTED = auto()
    PICTURES_LEFT_OUT = auto()
    ALONE = auto()
    LINK_IN_TEXT = auto()
    NOT_EDITED = auto()
    LIKE_FLAG = auto()
    FLAG_IN_QUOTES = auto()
    READ_AS = auto()
    SIZE_READ = auto()
    SIDE_ALONE = auto()
    COUNT = auto()
    RANDOM_SEED = auto()
    LAST_HOLDS = auto()
    LABEL_READ = auto()
    SETTINGS_IN_TEXT = auto()
    BREAK = auto()
    AND = auto()
    BRACES = auto()
    STYLE_UNKNOWN = auto()
    ZOOM = auto()
    VALUES_LOST = auto()


@dataclass(frozen=True)
class Note:
    kind: NoteKind
    flag: str
    """As typed, without its dashes."""
    detail: str = ""
    """Subject of the kind's sentence: a value, a size, a whole flag, or the flag that is missing."""


@dataclass(frozen=True)
class FlagProblem:
    problem: Problem
    flag: str | None = None
    """As typed, without its dashes; None where the fault is the text's."""
    given: str = ""
    expected: str = ""
    """The range; for an unknown flag that resembles none, the flags there are."""
    suggestion: str | None = None
    """Right form, ready to type: `--stylize 1000`."""


class FlagError(Refused):
    """The command cannot run. `echo` is what was typed, options included, to be copied and mended."""

    def __init__(self, faults: Sequence[FlagProblem], echo: str = "") -> None:
        super().__init__(
            "; ".join(f"{fault.problem.name.lower()}: {fault.flag or 'text'}" for fault in faults)
        )
        self.faults = tuple(faults[:MOST_FAULTS])
        self.echo = echo

    @property
    def flag(self) -> str | None:
        return self.faults[0].flag

    @property
    def problem(self) -> Problem:
        return self.faults[0].problem

    @property
    def suggestion(self) -> str | None:
        return self.faults[0].suggestion


def refuse(faults: Sequence[FlagProblem], echo: str = "") -> None:
    """Raises:
    FlagError: where there is a fault.
    """
    if faults:
        raise FlagError(faults, echo)


def refuse_many(count: int, echo: str = "") -> None:
    """Raises:
    FlagError: where a text would become more commands than one may.
    """
    if count > MOST_COMMANDS:
        given = str(min(count, 10**9))
        raise FlagError([FlagProblem(Problem.TOO_MANY, given=given, expected=str(MOST_COMMANDS))], echo)
