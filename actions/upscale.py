"""Upscaling: one picture, enlarged."""

from __future__ import annotations

from typing import Literal

from sqlalchemy.orm import Session

from actions.derivation import DerivedJob, Invocation, Words, shown, with_installed_models
from prompts.tokenizer import tokenize
from storage.catalog import Catalog
from storage.contract import RequestChanges, Task
from storage.errors import Refused

LARGEST_SIDE = 4096
"""Pixels that an upscaled picture may have on a side."""

CREATIVITY = 0.3
"""Strength of Upscale (Creative): diffusers' img2img strength."""


class NoUpscaler(Refused):
    """The catalog names nothing that enlarges this model's pictures."""


class UpscaleTooLarge(Refused):
    """Pixels that the upscaled picture would have, and may have on a side."""

    def __init__(self, width: int, height: int, limit: int = LARGEST_SIDE) -> None:
        super().__init__(f"{width}x{height}")
        self.width, self.height, self.limit = width, height, limit


def upscale(
    session: Session,
    catalog: Catalog,
    asked: Invocation,
    *,
    scale: Literal[2, 4] = 2,
    creativity: float = 0.0,
) -> DerivedJob:
    """One picture `scale` times as wide and high; with `creativity`, drawn over at that strength.

    Raises:
        NoUpscaler: the model has none.
        ModelGone, LoraGone, ReferenceGone: what drew it is not installed any more.
        UpscaleTooLarge: beyond LARGEST_SIDE.
    """
    image, job = shown(session, asked.picture)
    width, height = image.width * scale, image.height * scale
    if max(width, height) > LARGEST_SIDE:
        raise UpscaleTooLarge(width, height)
    request = with_installed_models(catalog, job, redrawn=creativity > 0)
    if catalog[request.model].upscaler is None:
        raise NoUpscaler
    changes: RequestChanges = {
        "task": Task.UPSCALE,
        "parent_image_id": image.id,
        "seed": image.seed,
        "num_images_per_prompt": 1,
        "references": (),
        "width": width,
        "height": height,
        "scale": scale,
        "creativity": creativity,
    }
    return Words(request, tokenize(job.text)).derived(asked, (image, job), changes)
