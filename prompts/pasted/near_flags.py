"""Misspelled marks of flags: `–ar 16:9`, `— ar 3:2`, `castle--ar 16:9`, `-ar 16:9`.

One is read as a flag where nothing else can be meant, and else named: its writer is told that it is text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from prompts.diagnostics import Note, NoteKind
from prompts.flags import BY_NAME, Meaning
from prompts.pasted.flag_aliases import FOREIGN
from prompts.tokenizer import CLOSING, DASHES, OPENING, QUOTED
from prompts.values import plain_value

_LONG = "—―⸺⸻"
_ANY = f"[{re.escape(DASHES)}]"
_RUN = re.compile(f"{_ANY}+")
_NAME = r"[A-Za-zＡ-Ｚａ-ｚ][A-Za-zＡ-Ｚａ-ｚ0-9_-]*"
_MARK = re.compile(
    rf"""
    {QUOTED}
    | (?P<escaped> \\{_ANY}+ )
    | (?<! {_ANY} ) (?P<dashes> {_ANY} \s {_ANY} (?! {_ANY} ) | {_ANY}+ ) (?P<gap> \s* )
      (?P<name> {_NAME} ) (?P<sign> \s?[:：=] )? (?! (?! {_ANY} ) [\w/] )
    """,
    re.VERBOSE,
)
_BEHIND_WORD = re.compile(r"[A-Za-z0-9À-ɏͰ-ӿ]")
_RATIO = re.compile(r"(?:ratio )?\d{1,5}(?:\.\d+)?(?: ?[:x×/∶;.-] ?\d{1,5}(?:\.\d+)?)?", re.IGNORECASE)
_PURE_RATIO = re.compile(r"\d{1,5}(?:\.\d+)? ?[:x×/∶] ?\d{1,5}(?:\.\d+)?\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)%?")
_STYLES = frozenset(["raw", "cute", "scenic", "expressive", "original", "4a", "4b", "4c"])


@dataclass(frozen=True)
class _Mark:
    start: int
    """Index of the first dash."""
    value_start: int
    dashes: str
    name: str
    before: str
    gap: bool

    @property
    def long(self) -> bool:
        """Two dashes, or one that phones make of two."""
        return sum(1 + (dash in _LONG) for dash in self.dashes if not dash.isspace()) > 1

    @property
    def glued(self) -> bool:
        return bool(self.before) and _BEHIND_WORD.fullmatch(self.before) is not None


def marked(line: str) -> tuple[str, tuple[Note, ...]]:
    """The line with `--` before each name that is certainly a flag's, and notes on those that may be one."""
    marks = list(_marks(line))
    pieces: list[str] = []
    doubts: list[Note] = []
    end, behind_flag = 0, False
    for place, mark in enumerate(marks):
        until = marks[place + 1].start if place + 1 < len(marks) else len(line)
        value = line[mark.value_start : until]
        if _is_flag(mark, value, behind_flag=behind_flag):
            pieces += [_before(line[end : mark.start]), f"--{mark.name} "]
            end, behind_flag = mark.value_start, True
        elif note := _doubt(mark, value):
            doubts.append(note)
    pieces.append(_closed(line[end:]))
    return " ".join("".join(pieces).split()), tuple(doubts)


def escaped(line: str) -> str:
    """The line with a backslash before all dashes that might be read as a flag's, whatever follows it."""
    line = _backslashed(line, {run.start() for run in _RUN.finditer(line, len(_closed(line)))})
    # What was taken for one mark may hold another: `- -no`, `--ar--no`.
    while places := {mark.start for mark in _marks(line) if _might_be_flag(mark)}:
        line = _backslashed(line, places)
    return line


def _backslashed(line: str, places: Collection[int]) -> str:
    for place in sorted(places, reverse=True):
        line = f"{line[:place]}\\{line[place:]}"
    return line


def _before(text: str) -> str:
    """The text up to a flag, with a blank at its end; a bracket that holds the flag alone goes with it."""
    bare = text.rstrip()
    if text.endswith(("(", "[")):
        bare = bare[:-1].rstrip()
    bare = _closed(bare)
    return f"{bare} " if bare else ""


def _closed(words: str) -> str:
    """Without dashes that stand alone at the end, and begin no flag."""
    bare = words.rstrip(f"{DASHES} ")
    tail = words[len(bare) :]
    glued = len(tail) - len(tail.lstrip(DASHES))
    return words[: len(bare) + glued]


def _marks(line: str) -> Iterator[_Mark]:
    for found in _MARK.finditer(line):
        if found["name"] is None:
            continue
        name = plain_value(found["name"]).lower()
        before = line[found.start("dashes") - 1] if found.start("dashes") else ""
        if before == "\\":
            continue
        yield _Mark(
            found.start("dashes"),
            found.end(),
            found["dashes"],
            name,
            "" if before.isspace() else before,
            bool(found["gap"]),
        )


def _is_flag(mark: _Mark, value: str, *, behind_flag: bool) -> bool:
    if mark.long and not mark.gap and not mark.before:
        return True
    if mark.name not in BY_NAME and mark.name not in FOREIGN:
        return mark.long and not mark.gap and not mark.glued and mark.before not in ("-", "/", "<")
    shaped = _takes(mark.name, value)
    if mark.long and not mark.gap:
        # `1920s--style` is a word, `1920s--style raw` is not.
        return shaped
    if behind_flag and not mark.glued:
        return shaped
    return shaped and not mark.glued and _is_certain(mark)


def _might_be_flag(mark: _Mark) -> bool:
    """True if `_is_flag` holds for some value and place."""
    known = mark.name in BY_NAME or mark.name in FOREIGN
    return (mark.long and not mark.gap and (known or not mark.glued)) or (known and not mark.glued)


def _is_certain(mark: _Mark) -> bool:
    """True if dashes that are no flag's are meant so, before a known name with its kind of value."""
    flag = BY_NAME.get(FOREIGN.get(mark.name, mark.name)) or BY_NAME.get(mark.name)
    if flag is None:
        return False
    if flag.value.form == "":
        return flag.meaning is Meaning.WORKS and (mark.long or (not mark.gap and mark.dashes != "-"))
    return not (flag.name == "no" and mark.gap and "--" not in mark.dashes)


def _takes(name: str, value: str) -> bool:
    """True if what stands behind a name is what its flag takes, and nothing more."""
    flag = BY_NAME.get(FOREIGN.get(name, name)) or BY_NAME.get(name)
    if flag is None or any(brace in value for brace in OPENING + CLOSING):
        return flag is not None and flag.value.form != ""
    plain = plain_value(value)
    form = flag.value.form
    if name in ("size", "width", "height", "h"):
        return bool(re.match(r"\d", plain))
    if form == "":
        return not plain or plain == getattr(flag.value, "also", None)
    if form == "W:H":
        return _RATIO.fullmatch(plain) is not None or plain in ("square", "portrait", "landscape")
    if form == "N":
        special = flag.name in ("seed", "sameseed", "niji") and plain in ("", "random")
        return special or _NUMBER.fullmatch(plain) is not None
    if form == "raw":
        return plain.lower() in _STYLES
    return bool(plain)


def _doubt(mark: _Mark, value: str) -> Note | None:
    known = mark.name in BY_NAME or mark.name in FOREIGN
    plain = plain_value(value)
    first = plain.split(" ")[0][:30]
    detail = f"{mark.dashes}{' ' if mark.gap else ''}{mark.name} {first}".strip()
    if mark.glued or mark.gap:
        numbered = known and (_PURE_RATIO.match(plain) or (mark.long and _NUMBER.match(plain)))
        return Note(NoteKind.LIKE_FLAG, mark.name, detail) if numbered else None
    near = difflib.get_close_matches(mark.name[:40], [*BY_NAME, *FOREIGN], n=1, cutoff=0.7)
    if known or (near and len(mark.name) > 3) or _PURE_RATIO.match(plain):
        return Note(NoteKind.LIKE_FLAG, mark.name, detail)
    return None
