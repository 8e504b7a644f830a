"""Prompts with labels, `Prompt: … Negative prompt: …`, in the languages that pages write them in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompts.diagnostics import Note, NoteKind
from prompts.tokenizer import QUOTED, items

_NEGATIVE = (
    r"(?<=\s)[-–]\s?prompt(?=\s*[:：])|(?:[#+*_\-]{0,4}\s?)?(?:negative|neg)[ _-]?prompts?"
    r"|(?<![\w])negative(?=\s*[:：])|undesired\s+content"
    r"|反向提示词|反向提示詞|负向提示词|负面提示词|負面提示詞|反向词|ネガティブプロンプト|негативный\s+промпт"
    r"|prompt\s+negativo|negativer?\s+prompt|prompt\s+n[ée]gatif|부정\s*프롬프트|네거티브\s*프롬프트"
)
_LABEL = re.compile(
    rf"""
    {QUOTED}
    | (?:(?<=[\s,;.(\[|。，；*_-])|^) (?P<negative>{_NEGATIVE}) \s*[*_]{{0,2}} \s*[:：] \s*[*_]{{0,2}}
    """,
    re.VERBOSE | re.IGNORECASE,
)
_POSITIVE = re.compile(
    r"(?:^|\s)[*_+]{0,3}\s?(?:positive(?:\s+prompt)?|prompt|正向提示词|提示词)\s*[*_]{0,2}[:：]\s*",
    re.IGNORECASE,
)
_SETTINGS = re.compile(
    r"(?:(?<=[\s,;.|])|^)(?P<first>steps[: ]\s*\d+[\s,;|]+"
    r"(?:sampler|cfg|seed|size|schedule|scale|guidance)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_FLAG = re.compile(r"(?<!\S)--[A-Za-z]")


def settings_in(words: str) -> str:
    """Settings of another program that stand within the words; "" where there are none."""
    found = _SETTINGS.search(words)
    return "" if found is None else " ".join(found["first"].split())


@dataclass(frozen=True)
class Labelled:
    positive: str
    negative: str


def split(text: str) -> Labelled | None:
    """Text before the label of a negative prompt, and behind all of them; None where there is none."""
    label = next((each for each in _LABEL.finditer(text) if each["negative"]), None)
    if label is None:
        return None
    bare = text[: label.start()].rstrip(" \n\t,;|*_#-+")
    bracketed = bare.endswith(("(", "["))
    before, after = bare.rstrip("([ "), _LABEL.sub(_comma, text[label.end() :])
    if positive := _POSITIVE.search(after):
        before, after = f"{before} {after[positive.end() :]}", after[: positive.start()]
    words = after.strip().removesuffix("**").rstrip(")] " if bracketed else "")
    return Labelled(before.strip(), ", ".join(items(words)))


def _comma(label: re.Match[str]) -> str:
    """Put a comma in a further label's place, for one list of the negative prompt."""
    return label[0] if label["negative"] is None else ", "


def labelled(text: str) -> tuple[str, tuple[Note, ...]]:
    """The text with what follows a label as its flag; what has another program's settings stays."""
    found = None if _SETTINGS.search(text) else split(text)
    if found is None:
        return text, ()
    words, rest = found.negative, ""
    if flag := _FLAG.search(words):
        words, rest = words[: flag.start()].strip(" ,"), words[flag.start() :]
    unwanted = f"--no {words}" if words else ""
    note = (Note(NoteKind.LABEL_READ, "no", " ".join(unwanted.split())),) if unwanted else ()
    return " ".join(filter(None, [found.positive, unwanted, rest])), note
