"""Sentences about pictures that members bring, and about words that were found for pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bot.messages import CONTENT
from prompts.enumerations import listed
from prompts.markdown import code, length, show_prompt
from prompts.translation import _
from storage.tables import Job

_LONGEST_NAME = 200


def of_several(name: str, sentence: str) -> str:
    """A refusal behind the name of the picture, of several that a command brings, that it is about."""
    shown = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
    return _("{name}: {sentence}").format(name=code(shown), sentence=sentence)


def too_many_bytes(megabytes: int) -> str:
    return _("This picture is too large: at most {megabytes} MB can be taken. A smaller copy works.").format(
        megabytes=megabytes
    )


def too_many_pixels(megapixels: int) -> str:
    return _(
        "This picture is too large: at most {megapixels} million pixels can be taken. A smaller copy works."
    ).format(megapixels=megapixels)


def not_a_picture() -> str:
    return _(
        "This is no picture that can be read here. Give a PNG, JPEG, WebP, GIF, AVIF or HEIC file, or a link "
        "that leads straight to one."
    )


def unreachable(status: int | None) -> str:
    said = "" if status is None else _(" (it answered {status})").format(status=status)
    return _(
        "The picture could not be fetched{said}. Check the link, or give the picture as an attachment."
    ).format(said=said)


def private_address() -> str:
    return _("This link leads into a private network. Give the picture as an attachment instead.")


def not_a_link(given: str) -> str:
    return _("{given} is no link to a picture: it has to begin with `https://`.").format(given=code(given))


_NUMBERS = ("1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣")
_IMPORTANT, _WEAK = 0.35, 0.15
"""Weights from which on a word is bold, and below which it is struck through."""
_TOKENS = 1800
"""UTF-16 units for the words of a prompt with their marks; the shorter prompts have as many."""


def described(job: Job, prompts: Sequence[str]) -> str:
    """The message with a picture and the prompts for it, each numbered as its button."""
    room = (CONTENT - 300) // max(1, len(prompts))
    lines = [f"{number} {show_prompt(text, room)}" for number, text in zip(_NUMBERS, prompts, strict=False)]
    about = _("**{prompt}** - Described by <@{member_id}>").format(
        prompt=show_prompt(job.text, 150), member_id=job.member_id
    )
    return "\n".join([about, *(lines or [_("Nothing was found to say of this picture.")])])


def important_tokens(job: Job, weights: Sequence[tuple[str, float]]) -> str:
    """The whole prompt: what matters is bold, what hardly does is struck through."""
    runs: list[str] = []
    room = _TOKENS
    for mark, group in itertools.groupby(weights, key=lambda pair: _mark(pair[1])):
        words = show_prompt(" ".join(word for word, _ in group), room - 2 * len(mark))
        runs.append(f"{mark}{words}{mark}")
        room -= length(runs[-1]) + 1
        if room < 20:
            runs.append("…")
            break
    return _("### Important tokens\n{words}\n-# Asked by <@{member_id}>").format(
        words=" ".join(runs), member_id=job.member_id
    )


def _mark(weight: float) -> str:
    if weight >= _IMPORTANT:
        return "**"
    return "~~" if weight < _WEAK else ""


def shortened(prompts: Sequence[str]) -> str:
    if not prompts:
        return _("### Shortened prompts\nThis prompt is as short as it can be.")
    room = _TOKENS // len(prompts)
    lines = [f"{number} {show_prompt(text, room)}" for number, text in zip(_NUMBERS, prompts, strict=False)]
    return "\n".join([_("### Shortened prompts"), *lines, _("-# Press a number to draw that prompt.")])


def details(weights: Sequence[tuple[str, float]]) -> str:
    """The weight of every word, as many as one message holds; the weightiest has 1."""
    lines, room = [_("How much of the picture depends on each word:")], CONTENT - 100
    for word, weight in weights:
        line = f"`{weight:.2f}` {show_prompt(word, 100)}"
        room -= length(line) + 1
        if room < 0:
            return "\n".join([*lines, "…"])
        lines.append(line)
    return "\n".join(lines)


def number_of(index: int) -> str:
    """The emoji on a prompt's button and before the prompt; `index` counts from 0."""
    return _NUMBERS[index]


def no_describer(model: str | None) -> str:
    if model is None:
        return _("Pictures cannot be described here: no model's catalog entry names a describer.")
    return _(
        "Pictures cannot be blended by {model}: its catalog entry names nothing that describes "
        "them. `/settings` chooses another model."
    ).format(model=code(model))


def duplicate_images() -> str:
    return _("Duplicate images: a blend needs at least two different pictures.")


def not_shortened(part: str) -> str:
    if part == "::":
        said = _("Multi-prompts with {part} cannot be shortened. Leave it out, then type `/shorten` again.")
    else:
        said = _("Prompts with {part} cannot be shortened. Leave it out, then type `/shorten` again.")
    return said.format(part=code(part))


def too_short() -> str:
    return _(
        "There is nothing to leave out of one word. Write the whole prompt, such as `a red fox at night`."
    )


def nothing_known(model: str, known: Sequence[str]) -> str:
    """`known` are some words that the model knows."""
    return _(
        "{model} knows none of these words, so there is nothing to weigh. Write words that it knows, such as "
        "{known}, or choose another model with `--model`."
    ).format(model=model, known=listed(known))


def one_source(given: int) -> str:
    """`/describe` with both an attachment and a link, or with neither."""
    if given == 0:
        return _("Give a picture to describe: an attachment as `image`, or its address as `link`.")
    return _("Give either an attachment as `image` or an address as `link`, not both.")


def no_words() -> str:
    return _("There is no such prompt here any more. `/describe` or `/shorten` finds new ones.")
