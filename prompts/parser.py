"""The prompt language: a command's text, options and settings become resolved requests. No discord in it.

A wrong flag or value refuses the whole command, with every fault found and the command to copy.
"""

from __future__ import annotations

import itertools
import math
import random
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType

from prompts import vocabulary, weights
from prompts.custom_flags import LONGEST_SUFFIX, MOST_OPTIONS, check_option, check_suffix
from prompts.diagnostics import MOST_COMMANDS, FlagError, FlagProblem, Note, NoteKind, refuse, refuse_many
from prompts.flags import BY_NAME, FLAGS, Flag, Meaning, help_lines
from prompts.image_links import ImageLink
from prompts.pasted import infotext
from prompts.pasted.normalizer import read, settled
from prompts.permutations import permutations
from prompts.precedence import choose, gather, scope_of
from prompts.preferences import Preferences
from prompts.request_builder import Linked, linked_of, notes_on, request_of
from prompts.tokenizer import TokenizedPrompt, TypedFlag, clean, tokenize
from prompts.translation import _
from prompts.values import Problem, Scope, WrongValue
from storage.catalog import Catalog
from storage.contract import GRID, SEED_SPACE, GenerationRequest, Part, Speed

__all__ = [
    "BY_NAME",
    "FLAGS",
    "LONGEST",
    "LONGEST_SUFFIX",
    "MOST_COMMANDS",
    "MOST_OPTIONS",
    "Flag",
    "FlagError",
    "FlagProblem",
    "ImageLink",
    "Meaning",
    "Note",
    "NoteKind",
    "Parsed",
    "Preferences",
    "Problem",
    "Scope",
    "Speed",
    "all_notes",
    "check_option",
    "check_suffix",
    "help_lines",
    "parse",
    "parse_all",
    "without",
]  # fmt: skip

LONGEST = 4000
"""Characters of a prompt with all that settings and options add to it, also as `spelled_out` counts."""
_LONGEST_TYPED = 4 * LONGEST
"""Characters of what is taken apart at all: its sets and the member's own flags may make it shorter."""
SEED_FLAGS = ("seed", "sameseed")
LEAST_STRENGTH = 0.05
STRENGTH_PER_WEIGHT = 0.3
"""By how much less of a picture is drawn anew for each 1 of `--iw`."""
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Parsed:
    request: GenerationRequest
    tokens: TokenizedPrompt
    """The whole prompt: links, words, flags as typed, and what options, suffix and settings add as flags.
    `--repeat` is no part of it, since each job is drawn once."""
    notes: tuple[Note, ...] = ()
    unknown_words: tuple[str, ...] = ()
    images: tuple[ImageLink, ...] = ()
    """Links in front of the words, and behind `--edit`; the request is from the words alone."""
    image_weight: float | None = None
    """`--iw`, 0–3."""
    linked: tuple[Linked, ...] = ()
    """Links behind the flags; the request is without them too."""
    speed: Speed | None = None
    stealth: bool | None = None
    repeat: int = 1
    zoom: float | None = None
    """`--zoom`, 1–2, which the form of Custom Zoom reads."""

    @property
    def text(self) -> str:
        """The whole prompt as it is shown and stored."""
        return str(self.tokens)

    @property
    def strength(self) -> float:
        """diffusers' strength for a request that begins with a picture: how much of it is drawn anew."""
        weight = 1.0 if self.image_weight is None else self.image_weight
        return round(max(LEAST_STRENGTH, 1 - STRENGTH_PER_WEIGHT * weight), 4)

    @property
    def command(self) -> str:
        """The text with its seed: typed again, it is the same request."""
        seeded = any(flag.name in SEED_FLAGS for flag in self.tokens.flags)
        return self.text if seeded else f"{self.text} --seed {self.request.seed}".strip()


_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_NO_PREFERENCES = Preferences()


def parse(
    text: str,
    catalog: Catalog,
    preferences: Preferences = _NO_PREFERENCES,
    *,
    options: Mapping[str, str] = _NO_OPTIONS,
    seed: int | None = None,
    attached: bool = False,
) -> Parsed:
    """Understand one command; braces are text.

    A flag in the text beats the command's `options` (values by a flag's name), these beat the member's own
    flags, then comes the suffix, then the settings. Without `--seed` the seed is `seed`, or drawn at random.
    Where a picture is `attached`, no words are needed.

    Raises:
        FlagError: with every fault found, and the command to copy.
    """
    with _echoing(text, options):
        _check_typed(text)
    typed, lost = infotext.expand(text, catalog)
    with _echoing(typed, options):
        parsed = _parse(typed, preferences, catalog=catalog, options=options, seed=seed, attached=attached)
    return replace(parsed, notes=(*lost, *parsed.notes))


def parse_all(
    text: str,
    catalog: Catalog,
    preferences: Preferences = _NO_PREFERENCES,
    *,
    options: Mapping[str, str] = _NO_OPTIONS,
    seed: int | None = None,
    attached: bool = False,
) -> list[Parsed]:
    """Understand a command that may be many: one for each of its permutations, times `--repeat`.

    Where the seed is fixed, each repeat takes the seeds that follow the pictures of the one before.

    Raises:
        FlagError: as `parse`, and for more than MOST_COMMANDS.
    """
    with _echoing(text, options):
        _check_typed(text)
    typed, lost = infotext.expand(text, catalog)
    parsed_as = partial(_parse, catalog=catalog, options=options, seed=seed, attached=attached)
    pasted = read(typed)
    parsed = []
    with _echoing(typed, options):
        commands = _alternatives(pasted.line, preferences)
        firsts = [parsed_as(single, own) for single, own in commands]
        refuse_many(sum(first.repeat for first in firsts))
        for (single, own), first in zip(commands, firsts, strict=True):
            others = (parsed_as(single, own) for _ in range(first.repeat - 1))
            same = [replace(each, repeat=1) for each in (first, *others)]
            fixed = seed is not None or first.command == first.text
            parsed += _apart(same) if fixed and first.repeat > 1 else same
    notes = tuple(dict.fromkeys((*lost, *pasted.notes, *parsed[0].notes)))
    return [replace(parsed[0], notes=notes), *parsed[1:]]


def all_notes(parsed: Sequence[Parsed]) -> tuple[Note, ...]:
    """Notes of a whole batch, each once."""
    return tuple(dict.fromkeys(note for each in parsed for note in each.notes))


def without(prompt: TokenizedPrompt, *names: str) -> TokenizedPrompt:
    """The prompt without the flags of these names, by whichever alias they stand there."""
    kept = tuple(
        flag for flag in prompt.flags if flag.name not in BY_NAME or BY_NAME[flag.name].name not in names
    )
    return TokenizedPrompt(prompt.text, kept)


@contextmanager
def _echoing(text: str, options: Mapping[str, str]) -> Iterator[None]:
    """Give the command back with whatever refuses it; one that is understood is not put together for that."""
    try:
        yield
    except FlagError as refused:
        raise FlagError(refused.faults, echo_of(text, options)) from None


def echo_of(text: str, options: Mapping[str, str]) -> str:
    """The typed text, and the options in the flags' form, so that nothing is lost with a refusal."""
    line = clean(text)
    given = {BY_NAME[flag.name].name for flag in settled(line)[0].flags if flag.name in BY_NAME}
    added = [name for name in options if BY_NAME[name].name not in given]
    return " ".join([line, *(str(TypedFlag(name, clean(options[name]))) for name in added)]).strip()


def _parse(
    text: str,
    preferences: Preferences,
    *,
    catalog: Catalog,
    options: Mapping[str, str],
    seed: int | None,
    attached: bool,
) -> Parsed:
    divided, told = settled(text, preferences.options)
    _check_own(divided, preferences)
    words, given = gather(divided, options, preferences)
    choice = choose(given, scope_of(given, catalog))
    refuse(choice.faults)
    kept = tuple(given[place].flag for place in sorted(choice.kept))
    whole = TokenizedPrompt(words, tuple(flag for flag in kept if BY_NAME[flag.name].name != "repeat"))
    entry, values = choice.scope.entry, choice.values
    edits = values.get("edit", ())
    images = (*whole.images, *(image for edit in edits for image in edit.images))
    pictures = attached or bool(images)
    parts = _parts(whole, also=" ".join(edit.words for edit in edits), needed=not pictures)
    drawn = random.SystemRandom().randrange(SEED_SPACE) if seed is None else seed
    request = request_of(parts, values, entry, drawn)
    if request.control is not None and not pictures:
        raise FlagError([FlagProblem(Problem.NO_PICTURE, "control", suggestion=_link_first(whole.words))])
    notes = notes_on(request, kept, values, entry, images=pictures)
    return Parsed(
        request=request,
        tokens=whole,
        notes=(*told, *choice.notes, *_text_notes(whole, preferences), *notes),
        unknown_words=vocabulary.unknown_words(request.prompt, entry),
        images=images,
        image_weight=values.get("iw"),
        linked=linked_of(values),
        speed=next((speed for speed in Speed if speed in values), preferences.speed),
        stealth="stealth" in values if {"stealth", "public"} & values.keys() else preferences.stealth,
        repeat=values.get("repeat", 1),
        zoom=values.get("zoom"),
    )


def _parts(whole: TokenizedPrompt, *, also: str, needed: bool) -> tuple[Part, ...]:
    length = spelled_out(str(whole))
    if length > LONGEST:
        raise FlagError([_too_long(length)])
    try:
        parts = weights.read(f"{whole.words} {also}".strip())
    except WrongValue as wrong:
        raise FlagError([FlagProblem(wrong.problem, given=wrong.given)]) from None
    if needed and not parts:
        raise FlagError([FlagProblem(Problem.EMPTY)])
    return parts


def _link_first(words: str) -> str | None:
    """The words with the link that stands within them in front, where it is a picture."""
    found = _LINK.search(words)
    if found is None:
        return None
    return " ".join(f"{found[0]} {words[: found.start()]}{words[found.end() :]}".split())


def spelled_out(text: str) -> int:
    """Characters of a text, at least as many as where each sign is written as what it stands for.

    Such a sign may be 18 characters (U+FDFA), and what compares or draws words has to read all of them.
    """
    if len(text) > LONGEST:
        return len(text)
    return max(len(text), len(unicodedata.normalize("NFKC", text)))


def _check_typed(text: str) -> None:
    if len(text) > _LONGEST_TYPED:
        raise FlagError([_too_long(len(text))])


def _check_own(divided: TokenizedPrompt, preferences: Preferences) -> None:
    """Before it is written out: what the member's own flags stand for is too long by itself."""
    meant = (preferences.options.get(flag.name, "") for flag in divided.flags if flag.name not in BY_NAME)
    length = sum(map(len, meant))
    if length > LONGEST:
        raise FlagError([_too_long(length)])


def _too_long(length: int) -> FlagProblem:
    return FlagProblem(Problem.TOO_LONG, given=str(length), expected=str(LONGEST))


def _text_notes(whole: TokenizedPrompt, preferences: Preferences) -> list[Note]:
    links = [Note(NoteKind.LINK_IN_TEXT, "", match[0]) for match in _LINK.finditer(whole.words)]
    rest = preferences.behind.text
    weighed = len(whole.images) > 1 and any(image.weight != 1 for image in whole.images)
    unweighted = [Note(NoteKind.PICTURES_UNWEIGHTED, "")] if weighed else []
    return [*links[:1], *unweighted, *([Note(NoteKind.SUFFIX_UNUSABLE, "", rest)] if rest else [])]


def _alternatives(line: str, preferences: Preferences) -> list[tuple[str, Preferences]]:
    """Every permutation of a command, with one of what the member's own flags in it stand for."""
    found = permutations(line)
    refuse_many(found.count)
    meaning = cache(lambda name: permutations(preferences.options[name]))
    commands: list[tuple[str, Preferences]] = []
    for single in found.texts():
        used = _own_flags(single, preferences)
        own = {name: meaning(name) for name in sorted(used)}
        refuse_many(len(commands) + math.prod(each.count for each in own.values()))
        for chosen in itertools.product(*(each.texts() for each in own.values())):
            meant = {**preferences.options, **dict(zip(own, chosen, strict=True))}
            commands.append((single, replace(preferences, options=meant)))
    return commands


def _own_flags(line: str, preferences: Preferences) -> set[str]:
    """The member's own flags that stand in a command."""
    names = preferences.options.keys() - BY_NAME.keys()
    return names & {flag.name for flag in tokenize(line).flags} if names else set()


def _apart(repeats: Sequence[Parsed]) -> list[Parsed]:
    """Repeats of one fixed seed, which would all be the same picture, each with seeds of its own."""
    seeds = [(each.request.seed + GRID * place) % SEED_SPACE for place, each in enumerate(repeats)]
    first, *others = (_seeded(each, seed) for each, seed in zip(repeats, seeds, strict=True))
    note = Note(NoteKind.SEEDS_APART, "seed", _(", ").join(map(str, seeds[:3])))
    return [replace(first, notes=(*first.notes, note)), *others]


def _seeded(parsed: Parsed, seed: int) -> Parsed:
    flags = tuple(
        TypedFlag(flag.name, str(seed)) if flag.name in SEED_FLAGS else flag for flag in parsed.tokens.flags
    )
    return replace(
        parsed,
        request=parsed.request.changed(seed=seed),
        tokens=TokenizedPrompt(parsed.tokens.text, flags),
    )
