"""Blend: what several pictures show, in one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from actions import submit
from actions.describe import Brought, NoDescriber
from actions.submit import SubmissionContext, SubmittedJob
from prompts import parser
from storage.backends import Backends
from storage.contract import MOST_BLENDED, Action, Task
from storage.errors import Refused

BLEND_STRENGTH = 0.85
"""diffusers' strength of a blend: of its pictures' mean the large forms and the colours stay."""
DIMENSIONS = {"Portrait": "2:3", "Square": "1:1", "Landscape": "3:2"}
_NAME = 60
_NOT_IN_NAMES = re.compile(r"[^\w.]+")


class DuplicateImages(Refused):
    """A blend of one picture, given several times."""


async def blend(
    backends: Backends, context: SubmissionContext, images: Sequence[Brought], dimensions: str
) -> SubmittedJob:
    """Draw what several pictures show, beginning with their mean; `dimensions` is one of DIMENSIONS.

    Raises:
        DuplicateImages, NoDescriber, and any other Refused: nothing was written.
    """
    submit.check_place(backends, context)
    different = {image.key: image for image in images}
    if len(different) < 2:
        raise DuplicateImages
    preferences, catalog = await backends.database.read(submit.held, backends.catalog, context)
    named = " + ".join(_file_name(image.name) for image in different.values())
    parsed = parser.parse(f"{named} --ar {DIMENSIONS[dimensions]}", catalog, preferences)
    if catalog[parsed.request.model].describer is None:
        raise NoDescriber(parsed.request.model)
    request = parsed.request.changed(
        task=Task.IMAGE_TO_IMAGE,
        prompt="",
        parts=(),
        source_keys=tuple(different)[:MOST_BLENDED],
        strength=BLEND_STRENGTH,
    )

    draft = partial(submit.draft_of, context, Action.BLEND, parsed.tokens, request)
    asked = await submit.enqueue(backends, lambda _: draft())
    # Its words are names of files, which no model is asked to know.
    return replace(asked, understood=(replace(parsed, request=request, unknown_words=()),))


def _file_name(name: str) -> str:
    """A file's name, or a link's last part, without what would be a flag or a weight in a prompt."""
    last = name.rstrip("/").rpartition("/")[2].partition("?")[0]
    return _NOT_IN_NAMES.sub("_", last)[-_NAME:].strip("_") or "picture"
