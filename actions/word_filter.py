"""Word filter for prompts. What a picture shows is judged by the workers' safety check.

The shipped list is short on purpose: what no server may ask for. A guild's own words are added to it.
Both are compared after undoing what hides a word: twins from other alphabets, figures for letters, accents,
blanks in between.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from prompts.tokenizer import TokenizedPrompt
from storage.contract import GenerationRequest
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
    found = _found((*ALWAYS, *banned), readings(prompt))
    minors = _found(MINORS, readings(prompt))
    sexual = _found(SEXUAL, readings(prompt)) if minors else ()
    if minors and sexual:
        found += (f"{sexual[0]} … {minors[0]}",)
    return tuple(dict.fromkeys(found))


def asked_words(request: GenerationRequest, tokens: TokenizedPrompt) -> str:
    """All that is asked for in words. A request without a prompt is called by the names of its pictures."""
    words = request.prompt or tokens.prompt
    return f"{words}\n{request.mask_words}" if request.mask_words else words


def searchable(phrase: str) -> bool:
    """True if a phrase has anything in it that a prompt could hold."""
    return bool(_words(phrase))


@dataclass(frozen=True)
class PromptReading:
    """One way to read a prompt: its words with a blank around each, and the set of them."""

    text: str
    words: frozenset[str]

    def holds(self, phrase: str) -> bool:
        """True if the phrase, as `_words` writes it, is in it."""
        if not phrase:
            return False
        if _NO_SPACES.search(phrase):
            # Where blanks stand between no words, a word may be anywhere.
            return phrase in self.text
        return phrase.partition(" ")[0] in self.words and f" {phrase} " in self.text


@lru_cache(maxsize=128)
def readings(prompt: str) -> tuple[PromptReading, ...]:
    """The ways in which the prompt may be read; a banned word in any of them counts.

    Remembered: a prompt is read once, before the transaction that compares it (tens of milliseconds for a
    long one), and not again for each of its jobs.
    """
    visible = _visible(prompt)
    read = set()
    for one in "il":
        plain = _latin(visible, one)
        split = " ".join(re.findall(r"[^\W_]+", plain))
        read.add(split)
        read.add(_SPELLED.sub(lambda match: match[0].replace(" ", ""), split))
        read.add(" ".join(re.sub(r"\W|_", "", word) for word in plain.split()))
    return tuple(PromptReading(f" {text} ", frozenset(text.split())) for text in read)


def _found(phrases: Iterable[str], read: Sequence[PromptReading]) -> tuple[str, ...]:
    return tuple(phrase for phrase in phrases if any(one.holds(_words(phrase)) for one in read))


@lru_cache(maxsize=4096)
def _words(phrase: str) -> str:
    """The words of a banned phrase with one blank between, as they stand in a reading."""
    return " ".join(re.findall(r"[^\W_]+", _latin(_visible(phrase), "i")))


def _visible(text: str) -> str:
    """Without case, accents and invisible characters."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in decomposed if unicodedata.category(char) not in _UNSEEN)


def _latin(visible: str, one: str) -> str:
    """Twins and figures as the letters they resemble, of which 1 is `one`."""
    latin = visible.translate(_TWINS).translate({ord(char): one for char in "1!|"})
    return re.sub(r"(\w)\1{2,}", r"\1", latin)
