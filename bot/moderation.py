"""What may be asked for, by its words. What a picture shows is judged by the workers' safety check.

The shipped list is short on purpose: what no server may ask for. A guild's own words are added to it.
Both are compared after undoing what hides a word: twins from other alphabets, figures for letters, accents,
blanks in between.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from storage.errors import Refused

ALWAYS = ("csam", "jailbait", "lolicon", "shotacon", "bestiality", "zoophilia", "snuff film")
MINORS = (
    "child", "children", "childs", "kid", "kids", "toddler", "toddlers", "baby", "babies", "infant",
    "infants", "minor", "minors", "preteen", "preteens", "underage", "schoolgirl", "schoolgirls", "schoolboy",
    "schoolboys", "little girl", "little girls", "little boy", "little boys", "loli", "shota",
)  # fmt: skip
SEXUAL = (
    "nude", "nudes", "naked", "nudity", "porn", "porno", "pornography", "pornographic", "nsfw", "sex",
    "sexual", "sexy", "erotic", "erotica", "hentai", "topless", "undressed", "genitals", "masturbating",
)  # fmt: skip
"""Words that are refused only beside one of MINORS."""

_TWINS = str.maketrans(
    "авеѕкмнорстухіјһԁԛԝɡɑαβεικνορτυχωℓ03457@$€",
    "abeskmhopctyxijhdqwgaabeiknoptuxwloeastase",
)
_NO_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_UNSEEN = {"Mn", "Cf", "Cc", "Cs"}
_SPELLED = re.compile(r"\b\w(?: \w\b){2,}")


class ForbiddenWords(Refused):
    """The prompt asks for what is banned here. `echo` is the prompt, so that nothing is lost."""

    def __init__(self, words: Sequence[str], echo: str) -> None:
        super().__init__(", ".join(words))
        self.words = tuple(words)
        self.echo = echo


def check(prompt: str, guild_settings: Mapping[str, Any], echo: str) -> None:
    """Raise ForbiddenWords for a word of the shipped list or of the guild's `banned_words`."""
    forbidden = forbidden_words(prompt, guild_settings.get("banned_words", ()))
    if forbidden:
        raise ForbiddenWords(forbidden, echo)


def forbidden_words(prompt: str, banned: Iterable[str] = ()) -> tuple[str, ...]:
    """The banned words and phrases that the prompt holds, as they are listed."""
    readings = _readings(prompt)
    found = _found((*ALWAYS, *banned), readings)
    minors = _found(MINORS, readings)
    sexual = _found(SEXUAL, readings) if minors else ()
    if minors and sexual:
        found += (f"{sexual[0]} … {minors[0]}",)
    return tuple(dict.fromkeys(found))


def searchable(phrase: str) -> bool:
    """Whether a phrase has anything in it that a prompt could hold."""
    return bool(_words(phrase))


def _found(phrases: Iterable[str], readings: Sequence[str]) -> tuple[str, ...]:
    return tuple(phrase for phrase in phrases if any(_holds(reading, _words(phrase)) for reading in readings))


def _holds(reading: str, words: str) -> bool:
    if not words:
        return False
    # Where blanks stand between no words, a word may be anywhere.
    return words in reading if _NO_SPACES.search(words) else f" {words} " in reading


def _readings(prompt: str) -> tuple[str, ...]:
    """The ways in which the prompt may be read; a banned word in any of them counts."""
    readings = set()
    for one in "il":
        plain = _plain(prompt, one)
        split = " ".join(re.findall(r"[^\W_]+", plain))
        readings.add(split)
        readings.add(_SPELLED.sub(lambda match: match[0].replace(" ", ""), split))
        readings.add(" ".join(re.sub(r"\W|_", "", word) for word in plain.split()))
    return tuple(f" {reading} " for reading in readings)


@lru_cache(maxsize=4096)
def _words(phrase: str) -> str:
    """The words of a banned phrase with one blank between, as they stand in a reading."""
    return " ".join(re.findall(r"[^\W_]+", _plain(phrase)))


def _plain(text: str, one: str = "i") -> str:
    """Without case, accents and invisible characters; twins and figures as the letters they resemble."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(char for char in decomposed if unicodedata.category(char) not in _UNSEEN)
    latin = visible.translate(_TWINS).translate({ord(char): one for char in "1!|"})
    return re.sub(r"(\w)\1{2,}", r"\1", latin)
