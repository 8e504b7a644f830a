"""A thousand prompts as people paste them: none is refused without a way on, no flag is lost unsaid.

`strangers.jsonl` was written by somebody who had not read the parser, `ours` are forms times contents. Of a
line, `flags` are what its writer meant, and `not_words` what must not be drawn as words unsaid; where
`doubt` is true, such words may stay.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from prompts.diagnostics import NoteKind
from prompts.parser import BY_NAME, FlagError, Parsed, Problem, parse, parse_all
from prompts.sentences import flag_problems
from prompts.tokenizer import tokenize
from prompts.values import plain_value
from tests.prompts.catalogs import catalog
from tests.prompts.pasted import ours

CATALOG = catalog()
STRANGERS = Path(__file__).parent / "pasted" / "strangers.jsonl"
_TOLD = {
    NoteKind.LIKE_FLAG, NoteKind.FLAG_IN_QUOTES, NoteKind.READ_AS, NoteKind.SIZE_READ, NoteKind.SIDE_ALONE,
    NoteKind.COUNT, NoteKind.RANDOM_SEED, NoteKind.LABEL_READ, NoteKind.SETTINGS_IN_TEXT, NoteKind.BREAK,
    NoteKind.AND, NoteKind.BRACES, NoteKind.LINK_IN_TEXT, NoteKind.NO_VERSION, NoteKind.NO_MEANING,
    NoteKind.VALUES_LOST,
}  # fmt: skip


def plain(value: object) -> str:
    """A value as it is compared: `True` is a flag alone, ratios are numbers, lists have commas."""
    if isinstance(value, list):
        return " ".join(map(plain, value))
    if value is True:
        return ""
    text = re.sub(r"[\s,，、_]+", " ", plain_value(str(value))).strip().lower()
    if ratio := re.fullmatch(r"(\d+(?:\.\d+)?)[:x](\d+(?:\.\d+)?)", text):
        return f"{float(ratio[1]) / float(ratio[2]):.3f}"
    return f"{Decimal(text).normalize():f}" if re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)", text) else text


def held(parsed: Parsed) -> dict[str, str]:
    """What a job holds, by the flags' first names and as they were typed."""
    found: dict[str, str] = {}
    flags = tokenize(parsed.text).flags
    for flag in flags:
        name, value = BY_NAME[flag.name].name, plain(flag.value)
        if (name, value) == ("style", "raw"):
            name, value = "raw", ""
        found[name] = f"{found[name]} {value}".strip() if name in found else value
    if "sampler" in found:
        found["sampler"] = plain(parsed.request.scheduler)
    if parsed.repeat > 1:
        found["repeat"] = plain(parsed.repeat)
    return {flag.name: plain(flag.value) for flag in flags} | found


def _is_held(name: str, meant: Any, jobs: list[dict[str, str]]) -> bool:
    """Whether each of the values that were meant is some job's, or all are together."""
    values = {job[name] for job in jobs if name in job}
    wanted = [plain(each) for each in meant] if isinstance(meant, list) else [plain(meant)]
    within = name in ("no", "lora") and any(plain(meant) in value for value in values)
    return plain(meant) in values or within or set(wanted) <= values


def lost(line: dict[str, Any], parsed: list[Parsed]) -> list[str]:
    """What the writer meant that is neither done nor told."""
    prompts = " ".join(one.request.prompt for one in parsed)
    missing = [word for word in line["words"] if word.lower() not in prompts.lower()]
    notes = [note for one in parsed for note in one.notes if note.kind in _TOLD]
    if any(note.kind is NoteKind.SETTINGS_IN_TEXT for note in notes):
        return missing
    told = plain_value(" ".join(f"{note.flag} {note.detail}" for note in notes)).lower()
    jobs = [held(one) for one in parsed]
    if len(parsed) > 1:
        jobs[0].setdefault("repeat", plain(len(parsed)))
    for name, meant in line["flags"].items():
        if name == "sref" and meant == "random" and "sref" in jobs[0]:
            continue
        if name == "seed" and meant in (-1, "-1", "random"):
            continue
        if _is_held(name, meant, jobs):
            continue
        if not _said(name if meant is True else meant, told) and not (name in told.split() and line["doubt"]):
            missing.append(f"--{name} {meant}")
    if not line["doubt"]:
        missing += [word for word in line["not_words"] if _stands(word, prompts) and not _said(word, told)]
    return missing


def _said(value: object, told: str) -> bool:
    words = [value] if not isinstance(value, list) else value
    return all(
        re.sub(r"[,_]", " ", plain_value(str(word)).lower()) in re.sub("[,_]", " ", told) for word in words
    )


def _stands(word: str, prompt: str) -> bool:
    edge = r"(?<![\w.:])" if re.match(r"\w", word) else ""
    behind = r"(?![\w.:])" if re.search(r"\w$", word) else ""
    return re.search(f"{edge}{re.escape(word)}{behind}", prompt) is not None


def helps(error: FlagError, line: dict[str, Any]) -> bool:
    """Whether the refusal says what to type, or names what there is where only that can be said."""
    for fault in error.faults:
        if fault.problem is Problem.EMPTY and not line["words"]:
            continue
        flag = BY_NAME.get(fault.flag or "")
        meant = None if flag is None else line["flags"].get(flag.name)
        if fault.problem is Problem.NO_PICTURE:
            if (
                not fault.suggestion
                or parse(f"{fault.suggestion} --control {meant}", CATALOG).request is None
            ):
                return False
        elif fault.suggestion and meant is not None and flag is not None and flag.name != "lora":
            if plain(fault.suggestion.partition(" ")[2]) != plain(meant):
                return False
        elif not fault.suggestion and not fault.expected:
            return False
    return bool(flag_problems(error.faults))


@cache
def outcome(text: str) -> list[Parsed] | FlagError:
    try:
        return parse_all(text, CATALOG, seed=5)
    except FlagError as error:
        return error


def strangers() -> list[dict[str, Any]]:
    return [json.loads(line) for line in STRANGERS.read_text("utf-8").splitlines()]


def figures(lines: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    refused, unsaid = [], []
    for line in lines:
        found = outcome(line["pasted"])
        if isinstance(found, FlagError):
            if not helps(found, line):
                refused.append(f"{line['pasted']!r}: {flag_problems(found.faults)}")
        elif missing := lost(line, found):
            unsaid.append(f"{line['pasted']!r}: {missing} in {found[0].text!r}")
    return refused, unsaid


@pytest.mark.parametrize("lines", [strangers, ours.lines], ids=["strangers", "ours"])
def test_no_pasted_prompt_is_refused_without_a_way_on_and_no_flag_is_lost_unsaid(lines: Any) -> None:
    refused, unsaid = figures(lines())
    assert refused == []
    assert unsaid == []


def test_values_that_cannot_be_are_refused_or_told() -> None:
    for line in strangers():
        found = outcome(line["pasted"])
        parts = found.faults if isinstance(found, FlagError) else found[0].notes
        named = {part.flag or "" for part in parts}
        assert {BY_NAME[flag].name for flag in named if flag in BY_NAME} >= set(line.get("wrong", ())), line


def test_the_corpus_is_large_and_written_once() -> None:
    texts = [line["pasted"] for line in (*strangers(), *ours.lines())]
    assert len(texts) >= 1000
    assert len(strangers()) >= len(texts) / 2
    assert len(set(texts)) == len(texts)


def test_what_was_read_is_read_as_the_same_again() -> None:
    for line in (*strangers(), *ours.lines()):
        found = outcome(line["pasted"])
        for first in [] if isinstance(found, FlagError) else found[:1]:
            again = parse_all(first.command, CATALOG)[0]
            assert (again.request, again.text) == (first.request, first.command), line["pasted"]
