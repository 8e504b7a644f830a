"""Precedence of flags: the text's, the command's options, the member's own flags, their suffix, settings.

What a member types is right or refused. What they once set and no longer works never stands in the way of a
command: it is left out, and said.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, auto
from typing import Any

from prompts.diagnostics import FlagProblem, Note, NoteKind
from prompts.flags import BY_NAME, FLAGS, Flag, Meaning
from prompts.pasted.flag_cleanup import tidied
from prompts.preferences import Preferences
from prompts.reference_values import RANDOM_CODE
from prompts.style_codes import random_code
from prompts.tokenizer import TokenizedPrompt, TypedFlag, clean, tokenize
from prompts.translation import _
from prompts.values import IDLE, Problem, Scope, WrongValue
from storage.catalog import Catalog
from storage.model_families import Feature


class Source(IntEnum):
    """Sources of flags, the strongest first."""

    TEXT = auto()
    COMMAND = auto()
    OPTION = auto()
    SUFFIX = auto()
    SETTING = auto()

    @property
    def typed(self) -> bool:
        """True if the member said it with this very command."""
        return self <= Source.COMMAND


@dataclass(frozen=True)
class GivenFlag:
    flag: TypedFlag
    source: Source
    option: str = ""
    """The member's own flag that it comes from."""


@dataclass
class ChosenFlags:
    """The flags that hold, and what they read as by the flag's name."""

    scope: Scope
    values: dict[str, Any] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    """Places of those flags in what was given."""
    places: dict[str, int] = field(default_factory=dict)
    """Of those, the ones that decide something that only one flag can."""
    faults: list[FlagProblem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def gather(
    divided: TokenizedPrompt, options: Mapping[str, str], preferences: Preferences
) -> tuple[str, tuple[GivenFlag, ...]]:
    """The text, with that of the member's own flags, and all flags in the order in which they are shown."""
    texts, given = [divided.text], list[GivenFlag]()
    for flag in divided.flags:
        meant = preferences.options.get(flag.name)
        if meant is None or flag.name in BY_NAME:
            given.append(GivenFlag(flag, Source.TEXT))
            continue
        part = tokenize(meant)
        texts += [part.text, flag.value]
        given += (GivenFlag(own, Source.OPTION, flag.name) for own in part.flags)
    chosen, _told = tidied(TypedFlag(name, clean(value)) for name, value in options.items())
    given += (GivenFlag(flag, Source.COMMAND) for flag in chosen)
    given += (GivenFlag(flag, Source.SUFFIX) for flag in preferences.behind.flags)
    given += (GivenFlag(flag, Source.SETTING) for flag in preferences.typed())
    return clean(" ".join(texts)), tuple(map(_with_codes, given))


def _with_codes(each: GivenFlag) -> GivenFlag:
    """With a style code in place of `--sref random`, so that what is shown draws the same again."""
    if BY_NAME.get(each.flag.name) is not BY_NAME["sref"]:
        return each
    value = RANDOM_CODE.sub(lambda _: str(random_code()), each.flag.value)
    return replace(each, flag=TypedFlag(each.flag.name, value))


def scope_of(given: Sequence[GivenFlag], catalog: Catalog) -> Scope:
    """The model that the flags ask for; where they name none that there is, the default."""
    scope = Scope(catalog, catalog[catalog.default])
    # Of the same source the last comes first, as it holds.
    for place in sorted(range(len(given)), key=lambda place: (given[place].source, -place)):
        each = given[place]
        flag = BY_NAME.get(each.flag.name)
        if flag is None or flag.group != "model":
            continue
        try:
            name = flag.value.read(each.flag.value, scope)
        except WrongValue:
            if each.source.typed:
                break
        else:
            if name is not IDLE:
                return Scope(catalog, catalog[str(name)])
    return scope


def choose(given: Sequence[GivenFlag], scope: Scope) -> ChosenFlags:
    """Read the flags from the strongest source to the weakest."""
    choice = ChosenFlags(scope)
    holders: dict[str, GivenFlag] = {}
    for place in sorted(range(len(given)), key=lambda place: given[place].source):
        each = given[place]
        flag = BY_NAME.get(each.flag.name)
        if flag is None:
            _reject(choice, each, unknown(each.flag, scope))
            continue
        holder = _holder(flag, each, holders)
        if holder is not None and holder.source < each.source:
            if each.source is Source.COMMAND and holder.flag.value != each.flag.value:
                choice.notes.append(Note(NoteKind.OPTION_OVERRULED, holder.flag.name, each.flag.value))
            continue
        _take(choice, place, each, flag, holders)
    return choice


def _holder(flag: Flag, each: GivenFlag, holders: Mapping[str, GivenFlag]) -> GivenFlag | None:
    """The flag that decides the same already. Raw is a stylize of 0, for all that is weaker than it."""
    holder = holders.get(flag.decides)
    raw = holders.get("raw") if flag.name == "stylize" else None
    return raw if holder is None and raw is not None and raw.source < each.source else holder


def _take(
    choice: ChosenFlags, place: int, each: GivenFlag, flag: Flag, holders: dict[str, GivenFlag]
) -> None:
    try:
        value = flag.value.read(each.flag.value, choice.scope)
    except WrongValue as wrong:
        suggestion = wrong.suggestion and f"--{each.flag.name} {wrong.suggestion}"
        expected = flag.value.expected(choice.scope)
        _reject(choice, each, FlagProblem(wrong.problem, each.flag.name, wrong.given, expected, suggestion))
        return
    if flag.needs is not None and not flag.works_with(choice.scope.entry):
        _reject(choice, each, unsupported(each.flag.name, flag.needs, choice.scope))
        return
    holder = holders.get(flag.decides)
    if value is IDLE or flag.meaning is Meaning.NOTED:
        _note_idle(choice, each, flag)
    else:
        if holder is not None and not flag.repeats:
            _give_way(choice, holder, each)
        holders[flag.decides] = each
        choice.places[flag.decides] = place
    choice.kept.add(place)
    if value is not IDLE:
        earlier = choice.values.get(flag.name)
        if isinstance(earlier, tuple) and isinstance(value, tuple):
            value = earlier + value
        choice.values[flag.name] = value


def _give_way(choice: ChosenFlags, earlier: GivenFlag, later: GivenFlag) -> None:
    """Of two flags that decide the same the last holds, as the last word of a hand does."""
    flag = BY_NAME[earlier.flag.name]
    choice.kept.discard(choice.places[flag.decides])
    choice.values.pop(flag.name, None)
    if later.source <= Source.OPTION and earlier.flag != later.flag:
        choice.notes.append(Note(NoteKind.LAST_HOLDS, later.flag.name, str(earlier.flag)))


_IDLE_NOTES = {
    "model": NoteKind.NO_VERSION,
    "lora": NoteKind.NO_LORAS,
    "upscaler": NoteKind.NO_UPSCALERS,
    "refine": NoteKind.NO_REFINER,
    "subject": NoteKind.NO_ADAPTER,
    "cw": NoteKind.NO_ADAPTER,
    "ow": NoteKind.NO_ADAPTER,
    "control": NoteKind.NO_CONTROLS,
    "edit": NoteKind.NOT_EDITED,
    "raw": NoteKind.STYLE_UNKNOWN,
    "zoom": NoteKind.ZOOM,
}


_NAMING_VALUES = (NoteKind.NO_VERSION, NoteKind.NO_MEANING, NoteKind.STYLE_UNKNOWN, NoteKind.ZOOM)


def _note_idle(choice: ChosenFlags, each: GivenFlag, flag: Flag) -> None:
    """Of a flag without meaning one is told where one types it, not wherever one's suffix goes."""
    if each.source <= Source.OPTION:
        kind = _IDLE_NOTES.get(flag.decides, NoteKind.NO_MEANING)
        title = choice.scope.entry.title
        detail = each.flag.value if kind in _NAMING_VALUES else title
        choice.notes.append(Note(kind, each.flag.name, detail))


def _reject(choice: ChosenFlags, each: GivenFlag, fault: FlagProblem) -> None:
    if each.source.typed:
        choice.faults.append(fault)
    elif each.source is Source.OPTION:
        choice.notes.append(Note(NoteKind.CUSTOM_UNUSABLE, each.option, str(each.flag)))
    else:
        kind = NoteKind.SUFFIX_UNUSABLE if each.source is Source.SUFFIX else NoteKind.SETTING_UNUSABLE
        choice.notes.append(Note(kind, each.flag.name, each.flag.value))


def unsupported(name: str, feature: Feature, scope: Scope) -> FlagProblem:
    """A flag that the model's family cannot follow, with the models whose families can."""
    able = [entry.name for entry in scope.catalog.models.values() if feature in entry.features]
    suggestion = f"--model {able[0]}" if able else None
    return FlagProblem(Problem.UNSUPPORTED, name, scope.entry.title, suggestion=suggestion)


_WORKING_NAMES = [name for flag in FLAGS if flag.meaning is Meaning.WORKS for name in flag.names]
_WORKING = [f"`--{flag.name}`" for flag in FLAGS if flag.meaning is Meaning.WORKS]


def unknown(flag: TypedFlag, scope: Scope) -> FlagProblem:
    near, suggestion = _nearest(flag)
    expected = BY_NAME[near].value.expected(scope) if near else _(", ").join(_WORKING)
    return FlagProblem(Problem.UNKNOWN, flag.name, flag.value, expected, suggestion)


def _nearest(flag: TypedFlag) -> tuple[str | None, str | None]:
    """The name that was perhaps meant, and how the flag would then be typed."""
    glued = re.fullmatch(r"([a-z]+)(\d.*)", flag.name)
    if glued and glued[1] in BY_NAME:
        rest = flag.value if flag.value.startswith((":", ".")) else ""
        return glued[1], f"--{glued[1]} {glued[2]}{rest}"
    near = difflib.get_close_matches(flag.name[:40], _WORKING_NAMES, n=5, cutoff=0.55)
    # Who mistypes a name has its first letter right more often than not.
    likely = next((name for name in near if name[0] == flag.name[0]), next(iter(near), None))
    return likely, likely and f"--{likely}"
