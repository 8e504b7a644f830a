"""Prompts for what lies around a picture that goes on beyond its borders: the scene, and no second subject.

A phrase of the prompt names something that the picture shows whole where it is seen in it, and hardly at the
borders beyond which new picture is drawn. That is there already, and is not asked for again. What reaches
such a border (a ground, a sky, half a house) goes on behind it, and what is not found (a style, a light) is
said of the whole picture; both stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageChops

from storage.contract import SMALLEST_REGION, GenerationRequest, Part, Phrase, Role

Seen = np.ndarray[Any, np.dtype[np.bool_]]
See = Callable[[PIL.Image.Image, Sequence[str]], Seen]
"""Places in a picture of several things: (things, height, width)."""

MOST_PHRASES = 24
"""Phrases of a prompt that are looked for; each costs a call of the segmenter."""

WITHIN = 0.5
"""Of something whole, less is at the border than in the whole picture: so many times at most."""

MOST_GUIDANCE = 1.5
"""Guidance around a picture: with more, a model puts a thing into each empty middle."""

_JOINT = re.compile(
    r"([,.;:|，。、；：]|\b(?:of|on|in|at|by|under|beneath|with|among|during|near|behind|above|over|beside|and)\b)",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:an?|the|one|my)\s+", re.IGNORECASE)


def of(
    request: GenerationRequest, sheet: PIL.Image.Image, mask: PIL.Image.Image, see: See
) -> GenerationRequest:
    """The request as it is drawn around the picture that lies on `sheet` where `mask` is black."""
    whole = _shown_whole(_things(request), sheet, mask, see)
    references = tuple(each for each in request.references if each.role is Role.STYLE)
    return request.changed(
        prompt=_without(request.prompt, whole),
        parts=_parts_without(request.parts, whole),
        references=references,
        guidance_scale=min(request.guidance_scale, MOST_GUIDANCE),
    )


def _things(request: GenerationRequest) -> list[str]:
    texts = [request.prompt]
    if request.parts:
        texts = [phrase.text for part in request.parts if part.weight > 0 for phrase in part.phrases]
    named = (_named(text) for whole in texts for text in _JOINT.split(whole)[::2])
    return list(dict.fromkeys(filter(None, named)))[:MOST_PHRASES]


def _named(text: str) -> str:
    """The phrase as the segmenter reads it."""
    return _ARTICLE.sub("", " ".join(text.split()))


def _shown_whole(things: Sequence[str], sheet: PIL.Image.Image, mask: PIL.Image.Image, see: See) -> list[str]:
    box = ImageChops.invert(mask.convert("L")).getbbox()
    if not things or box is None:
        return []
    seen = see(sheet.crop(box), things)
    left, top, right, bottom = box
    open_sides = (left > 0, top > 0, right < sheet.width, bottom < sheet.height)
    return [thing for thing, where in zip(things, seen, strict=True) if _is_whole(where, open_sides)]


def _is_whole(where: Seen, open_sides: Sequence[bool]) -> bool:
    """True if something is seen (height, width), and not at the open sides: left, top, right, bottom."""
    borders = (where[:, 0], where[0], where[:, -1], where[-1])
    share = where.mean()
    most = max((line.mean() for line, is_open in zip(borders, open_sides, strict=True) if is_open), default=0)
    return bool(share >= SMALLEST_REGION and most < WITHIN * share)


def _without(text: str, whole: Sequence[str]) -> str:
    """The text without these phrases and what joined them to the rest."""
    joints = ["", *_JOINT.split(text)]
    kept = [
        joint + phrase
        for joint, phrase in zip(joints[::2], joints[1::2], strict=True)
        if phrase.strip() and _named(phrase) not in whole
    ]
    return "".join(kept).strip(" ,.;:|，。、；：")


def _parts_without(parts: Sequence[Part], whole: Sequence[str]) -> tuple[Part, ...]:
    """None where nothing of positive weight is left: the text, which is empty too, stands for them."""
    kept = []
    for part in parts:
        phrases = tuple(
            Phrase(text=text, emphasis=phrase.emphasis)
            for phrase in part.phrases
            if (text := _without(phrase.text, whole) if part.weight > 0 else phrase.text)
        )
        if phrases:
            kept.append(Part(phrases=phrases, weight=part.weight))
    positive = sum(part.weight for part in kept if part.weight > 0)
    negative = -sum(part.weight for part in kept if part.weight < 0)
    return tuple(kept) if positive > negative else ()
