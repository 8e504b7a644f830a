"""A prompt in the forms in which people paste it, made one line that the strict grammar reads.

What is certain is put right; what is doubtful stays as it is, and a note names it. A line that was read once
reads as itself.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from prompts.diagnostics import Note, NoteKind
from prompts.flags import BY_NAME
from prompts.pasted.flag_aliases import FOREIGN
from prompts.pasted.flag_cleanup import tidied
from prompts.pasted.labelled_prompts import labelled, settings_in
from prompts.pasted.near_flags import marked
from prompts.pasted.unwrapping import unwrapped
from prompts.tokenizer import CLOSING, OPENING, QUOTED, SEPARATORS, TokenizedPrompt, clean, tokenize

_QUOTED_FLAG = re.compile(rf"(?P<quoted> {QUOTED} )", re.VERBOSE)
_FLAG_WITHIN = re.compile(r"(?<![\w-])(?:--|[—–])(?P<name>[A-Za-z]+)(?: [\w:.]+)?")
_UNDASHED = re.compile(
    r"""
    (?<![\w-]) [-_]{0,2}
        (?P<name> seed | aspect(?:[ ]ratio)? | ar | stylize | chaos | 宽高比 | 比例 | 长宽比
          | (?:size|resolution)(?=[\s:：=*]{0,6}\d{3,5}[x×]) )
        [*\s:：=]{0,6} \d[\d:：.x×]* (?!\w)
    | (?: ^ | (?<=[,;|(\[]) ) \s* (?P<item> [a-z]{1,4} ) [ ]?[:=]?[ ]? \d[\d:：.x×]*
        (?= \s* (?: [,;|)\]] | $ ) )
    | (?<![\w:.]) (?P<ratio> 16:9 | 9:16 | 21:9 | 9:21 | 16:10 | 10:16 | [35]:4 | 4:[35] | 3:2 | 2:3 | 1:1 )
        (?! [\w:] | \.\d )
    | (?<![\w-]) (?:avoid|exclude) \s* [:：] \s* [^.;|]+
    | (?: ^ | [,;|(\[.] | \bwith | \band ) \s* (?P<absent> (?:no|without) \s [^\W\d][\w\s]*? )
        (?= \s* (?: [,;|.)\]] | \band\b | $ ) )
    | (?<=\s) \#\#\# \s .+
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Text that would be a flag elsewhere, or with two dashes: `Aspect ratio: 16:9`, `[no text]`."""
_BRACED = re.compile(
    rf"(?P<open>[{OPENING}]{{2,10}})(?P<words>[^{OPENING}{CLOSING}{SEPARATORS}()\[\]:\\]+)[{CLOSING}]{{2,10}}"
)
_SINGLE = re.compile(rf"(?<!\\)[{OPENING}][^{OPENING}{CLOSING}{SEPARATORS}]*[{CLOSING}]")
_PER_BRACE = 1.05
"""Weight of a pair of braces in the programs that weigh by them."""
_BREAK = re.compile(r"[\s,.;]*(?<![\w\\'\"])BREAK(?![\w'\"])[\s,.;]*")
_AND = re.compile(r"(?<=[^\s,]\s)AND(?=\s[^\s])")
_SMALL = re.compile(r"[a-zà-ÿ]{2}")
_MOST_ROUNDS = 8


@dataclass(frozen=True)
class Pasted:
    line: str
    notes: tuple[Note, ...] = ()


def read(text: str) -> Pasted:
    """One line with its flags behind `--`; braces, escapes and quotes within it as they were."""
    line, notes = text, tuple[Note, ...]()
    for _ in range(_MOST_ROUNDS):
        found = _read_once(line)
        notes = _once((*notes, *found.notes))
        if found.line == line:
            break
        line = found.line
    return Pasted(line, notes)


def _read_once(text: str) -> Pasted:
    plain, labels = labelled(unwrapped(text))
    line, doubts = marked(clean(plain))
    line, words = _of_other_programs(line)
    return Pasted(line, (*labels, *doubts, *words))


def settled(text: str, own: Container[str] = ()) -> tuple[TokenizedPrompt, tuple[Note, ...]]:
    """The text and the flags of one command, which put together are read as the same again.

    `own` are the names of the member's own flags.
    """
    line, notes = text, tuple[Note, ...]()
    divided = TokenizedPrompt("")
    for _ in range(_MOST_ROUNDS):
        pasted = read(line)
        divided = tokenize(pasted.line)
        flags, told = tidied(divided.flags, own)
        divided = TokenizedPrompt(_BRACED.sub(_weighed, divided.text), flags)
        notes = _once((*notes, *pasted.notes, *told))
        if str(divided) == pasted.line:
            break
        line = str(divided)
    return divided, (*notes, *_in_quotes(divided.text), *_in_words(divided.words))


def _once(notes: Iterable[Note]) -> tuple[Note, ...]:
    return tuple(dict.fromkeys(notes))


def _in_quotes(words: str) -> tuple[Note, ...]:
    """Note on what would be a flag did it not stand in quotes."""
    for quoted in _QUOTED_FLAG.finditer(words):
        for found in _FLAG_WITHIN.finditer(quoted["quoted"]):
            if found["name"].lower() in BY_NAME:
                return (Note(NoteKind.FLAG_IN_QUOTES, found["name"].lower(), found[0]),)
    return ()


def _in_words(words: str) -> tuple[Note, ...]:
    """Notes on what was meant as a flag or a weight elsewhere, and stays words."""
    if settings := settings_in(words):
        return (Note(NoteKind.SETTINGS_IN_TEXT, "", settings),)
    named: dict[str, Note] = {}
    for found in _UNDASHED.finditer(words):
        if flag := _named(found):
            said = (found["absent"] or found[0]).strip()
            named.setdefault(flag, Note(NoteKind.LIKE_FLAG, flag, said))
    braces = _SINGLE.search(words)
    return (*named.values(), *([Note(NoteKind.BRACES, "", braces[0])] if braces else []))


def _named(found: re.Match[str]) -> str | None:
    """The flag that would say the same; None where a word with a number behind it is no flag's."""
    if found["ratio"]:
        return "ar"
    name = (found["name"] or found["item"] or "no").lower()
    if name in BY_NAME:
        return name
    return FOREIGN.get(name) if found["item"] and len(name) > 1 else found["name"] and "ar"


def _weighed(found: re.Match[str]) -> str:
    return f"({found['words'].strip()}:{round(_PER_BRACE ** len(found['open']), 2):g})"


def _of_other_programs(line: str) -> tuple[str, tuple[Note, ...]]:
    """`BREAK` and `AND` of other programs, unless all of the prompt is in capitals."""
    if not (_BREAK.search(line) or _AND.search(line)):
        return line, ()
    words = tokenize(line).text
    if not _SMALL.search(words):
        return line, ()
    notes = [Note(NoteKind.AND, "", "AND")] if _AND.search(words) else []
    if _BREAK.search(words):
        joined = _BREAK.sub(lambda found: ", " if found.start() and found.end() < len(words) else "", words)
        return line.replace(words, joined, 1), (*notes, Note(NoteKind.BREAK, "", "BREAK"))
    return line, tuple(notes)
