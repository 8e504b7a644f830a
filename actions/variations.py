"""Re-rolls of a prompt, and variations of a picture."""

from __future__ import annotations

from sqlalchemy.orm import Session

from actions.derivation import (
    OF_GRIDS,
    WORDED,
    DerivedJob,
    Invocation,
    before_upscaling,
    drawn_job,
    leading,
    request_of,
    shown,
    words_of,
)
from prompts.parser import FlagError, FlagProblem, Problem
from storage.catalog import Catalog
from storage.contract import GRID, GenerationRequest, RequestChanges, Role, Task


def reroll(session: Session, catalog: Catalog, asked: Invocation) -> DerivedJob:
    """The same prompt with another seed: of an upscaled picture, the one that drew it."""
    job = drawn_job(session, asked.id)
    words = words_of(catalog, job, asked.text)
    request = words.request
    if words.parsed is not None:
        request = _begun_alike(request, request_of(job), str(words.prompt))
        words = words.of_shape((request.width, request.height))
    return DerivedJob(
        asked.action,
        words.prompt,
        request,
        job.id,
        asked.n,
        job.parent_index,
        parsed=words.parsed,
        known=words.known,
    )


def _begun_alike(request: GenerationRequest, kept: GenerationRequest, echo: str) -> GenerationRequest:
    """The changed words with the pictures that the others began with."""
    continues = kept.continues and request.prompt == kept.prompt
    changes: RequestChanges = {
        "task": kept.task,
        "parent_image_id": kept.parent_image_id,
        "source_key": kept.source_key,
        "source_keys": kept.source_keys,
        "strength": WORDED if kept.continues and not continues else kept.strength,
        "mask_key": kept.mask_key,
        "mask_words": kept.mask_words,
        "continues": continues,
        "references": tuple(each for each in kept.references if each.role is Role.IMAGE),
    }
    if kept.task is not Task.TEXT_TO_IMAGE:
        changes |= {"width": kept.width, "height": kept.height}
    if request.control is not None:
        led_by = leading(kept)
        if led_by is None:
            raise FlagError([FlagProblem(Problem.NO_PICTURE, "control")], echo)
        changes["control"] = request.control.showing(led_by)
        if kept.control is None:
            changes |= {
                "task": Task.TEXT_TO_IMAGE,
                "source_key": None,
                "mask_key": None,
                "mask_words": "",
                "continues": False,
            }
    return request.changed(**changes)


def vary(session: Session, catalog: Catalog, asked: Invocation, *, subtle: bool | None = None) -> DerivedJob:
    """Four pictures near one, at the size it was drawn in or that changed words ask for.

    `subtle` says how near; None leaves that to the member's settings.
    """
    image = shown(session, asked.picture)
    drawn_image, drawn = before_upscaling(session, *image)
    words = words_of(catalog, drawn, asked.text)
    entry = catalog[words.request.model]
    near = asked.subtle if subtle is None else subtle
    changes: RequestChanges = {
        **OF_GRIDS,
        "task": Task.IMAGE_TO_IMAGE,
        "parent_image_id": drawn_image.id,
        "num_images_per_prompt": GRID,
        "strength": entry.strength_subtle if near else entry.strength_strong,
    }
    return words.derived(asked, image, changes)
