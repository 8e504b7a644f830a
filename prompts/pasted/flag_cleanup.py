"""Typed flags, with other programs' names and the punctuation behind values put right."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from prompts.diagnostics import Note, NoteKind
from prompts.flags import BY_NAME, Flag
from prompts.pasted.flag_aliases import COUNTS, ELSEWHERE_ALONE, FOREIGN, RANDOM, SIDES
from prompts.tokenizer import TypedFlag
from prompts.values import plain_list, plain_value
from storage import samplers

_SIZE = re.compile(r"(\d{2,5}) ?[x×*,: ] ?(\d{2,5})", re.IGNORECASE)
_RATIO = re.compile(
    r"(?:ratio ?:? )?(\d{1,5}(?:\.\d{1,5})?) ?[:x×/∶; -] ?(\d{1,5}(?:\.\d{1,5})?):?", re.IGNORECASE
)
_SHAPES = {"square": "1:1", "portrait": "2:3", "vertical": "2:3", "landscape": "3:2", "horizontal": "3:2"}


def tidied(
    flags: Iterable[TypedFlag], own: Container[str] = ()
) -> tuple[tuple[TypedFlag, ...], tuple[Note, ...]]:
    """The flags as the table has them, in their order, and notes on those that were read as another.

    `own` are names that the member gave to flags of their own, whatever they are elsewhere.
    """
    notes: list[Note] = []
    kept: list[TypedFlag] = []
    for flag in _levelled(_sized(tuple(flags), own, notes), own, notes):
        if flag.name in own and flag.name not in BY_NAME:
            kept.append(flag)
            continue
        ours = _renamed(flag, notes)
        if ours.name in COUNTS:
            notes.append(Note(NoteKind.COUNT, ours.name, ours.value))
            continue
        if ours.name in ELSEWHERE_ALONE:
            notes.append(Note(NoteKind.NO_MEANING, ours.name, ours.value))
            continue
        known = BY_NAME.get(ours.name)
        if known is not None:
            ours = replace(ours, value=tidy(known, ours.value))
        if known is not None and known.group == "seed" and ours.value.lower() in RANDOM:
            notes.append(Note(NoteKind.RANDOM_SEED, ours.name, ours.value))
            continue
        kept.append(ours)
    return tuple(kept), tuple(notes)


def tidy(flag: Flag, value: str) -> str:
    """A value of this flag without what is no part of it."""
    form = flag.value.form
    if form == "A, B":
        return plain_list(value)
    if form in ("CODE", "LINK", "NAME:WEIGHT", "KIND"):
        return value.strip(" ,;，；")
    plain = plain_value(value)
    if form == "W:H":
        return _ratio(plain)
    if form == "N":
        return plain.removesuffix("%").rstrip()
    return plain


def _ratio(plain: str) -> str:
    if found := _RATIO.fullmatch(plain):
        return f"{found[1]}:{found[2]}"
    return "1:1" if plain == "1" else _SHAPES.get(plain.lower(), plain)


def _renamed(flag: TypedFlag, notes: list[Note]) -> TypedFlag:
    """By our name; a name of ours stays, whatever it is elsewhere."""
    ours = None if flag.name in BY_NAME else FOREIGN.get(flag.name)
    if ours is None:
        return flag
    value = flag.value
    if ours == "ar" and (size := _SIZE.fullmatch(plain_value(value))):
        value = _shape(int(size[1]), int(size[2]))
    read = TypedFlag(ours, value)
    notes.append(Note(NoteKind.READ_AS, flag.name, str(TypedFlag(ours, tidy(BY_NAME[ours], value)))))
    return read


def _sized(flags: Sequence[TypedFlag], own: Container[str], notes: list[Note]) -> list[TypedFlag]:
    """A width and a height, which elsewhere say how large a picture is, as its shape."""
    sides: dict[str, tuple[TypedFlag, int]] = {}
    for flag in flags:
        number = re.fullmatch(r"(\d{2,4})(?:px)?", plain_value(flag.value))
        if flag.name in SIDES and flag.name not in own and number and int(number[1]):
            sides[SIDES[flag.name]] = (flag, int(number[1]))
    if len(sides) < 2:
        alone = {flag.name for flag in flags if flag.name in ("width", "height") and flag.name not in own}
        notes += [Note(NoteKind.SIDE_ALONE, name) for name in sorted(alone)]
        return [flag for flag in flags if flag.name not in alone]
    (wide, width), (tall, height) = sides["width"], sides["height"]
    shape = TypedFlag("ar", _shape(width, height))
    notes.append(Note(NoteKind.SIZE_READ, wide.name, str(shape)))
    return [shape if flag is wide else flag for flag in flags if flag is not tall]


def _levelled(flags: Sequence[TypedFlag], own: Container[str], notes: list[Note]) -> list[TypedFlag]:
    """A scheduler that elsewhere names the noise levels beside a sampler, as part of that sampler's name."""
    levels = {
        flag: level
        for flag in flags
        if flag.name == "scheduler"
        and flag.name not in own
        and (level := plain_value(flag.value).casefold()) in samplers.LEVELS
    }
    kept = [flag for flag in flags if flag not in levels]
    for scheduler, level in levels.items():
        place = next((place for place, flag in enumerate(kept) if _ours(flag.name) == "sampler"), None)
        name = None if place is None else samplers.from_elsewhere(plain_value(kept[place].value), level)
        if place is None or name is None:
            notes.append(Note(NoteKind.NO_MEANING, scheduler.name, level))
            continue
        kept[place] = TypedFlag("sampler", name)
        notes.append(Note(NoteKind.READ_AS, scheduler.name, str(kept[place])))
    return kept


def _ours(name: str) -> str:
    return name if name in BY_NAME else FOREIGN.get(name, name)


def _shape(width: int, height: int) -> str:
    if not width or not height:
        return f"{width}:{height}"
    ratio = Fraction(width, height)
    return f"{ratio.numerator}:{ratio.denominator}"
