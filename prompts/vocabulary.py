"""Words that a small model does not know: drawing them gives noise, so the member is told before waiting."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest
from storage.vocabulary import has, words_in

MOST_NAMED = 10

# A model that has never seen these loses nothing by them.
_SMALL_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by for from has have his her i in is it its me my of on or our please so some "
        "that the their there these this those to us was we were which who with you your",
    )
)
# What asks for any picture, and so says nothing of this one.
_ASKING = frozenset(
    {"create", "draw", "generate", "image", "imagine", "make", "paint", "photo", "picture", "show"}
)
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)


def unknown_words(prompt: str, entry: ModelEntry) -> tuple[str, ...]:
    """The words of the prompt, in lower case and each once, that the model's vocabulary lacks."""
    known = entry.words
    if known is None:
        return ()
    familiar, said = known | _SMALL_WORDS, words_in(entry.unnamed(_LINK.sub("", prompt)))
    return tuple(dict.fromkeys(word for word in said if not has(familiar, word)))[:MOST_NAMED]


def is_all_unknown(prompt: str, entry: ModelEntry) -> bool:
    """True where there are words of which a picture could be made, and the model knows none of them."""
    words = entry.words
    if words is None or entry.unnamed(prompt) != prompt:
        return False
    idle, said = _SMALL_WORDS | _ASKING, words_in(_LINK.sub("", prompt))
    telling = [word for word in said if not has(idle, word)]
    return bool(telling) and not any(has(words, word) for word in telling)


def offers(requests: Sequence[GenerationRequest], catalog: Catalog) -> tuple[str, ...]:
    """Commands that are drawn well, where the models know no word of any of these requests."""
    entries = [catalog[request.model] for request in requests]
    known = (not is_all_unknown(one.prompt, entry) for one, entry in zip(requests, entries, strict=True))
    return () if not entries or any(known) else offers_of(entries[0])


def offers_of(entry: ModelEntry) -> tuple[str, ...]:
    """Commands of words that the model knows."""
    name = re.sub(r"\s", "-", entry.name)
    return tuple(f"{prompt} --model {name}" for prompt in entry.prompts)


def nearest_known(word: str, entry: ModelEntry) -> str | None:
    """A word the model does know that is written much like this one."""
    near = difflib.get_close_matches(word[:40], entry.words or (), n=1, cutoff=0.75)
    return near[0] if near else None


def examples(entry: ModelEntry) -> tuple[str, ...]:
    """Some words of the model's, to say what it knows: those its catalog entry names, else any."""
    if entry.examples:
        return entry.examples
    return tuple(sorted(word for word in entry.words or () if len(word) > 3)[:MOST_NAMED])
