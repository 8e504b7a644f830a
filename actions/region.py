"""Vary (Region): part of a picture, drawn anew."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from PIL import Image as PilImage
from sqlalchemy.orm import Session

from actions import canvas as canvases
from actions.derivation import (
    DerivedJob,
    InitImageAndMask,
    Invocation,
    before_upscaling,
    in_part,
    shown,
    words_of,
)
from prompts.tokenizer import SEPARATORS
from storage.catalog import Catalog
from storage.contract import RequestChanges, Task
from storage.errors import Refused


class NoSegmenter(Refused):
    """Nothing finds what words name in the pictures of this model; `title` is its own."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.title = title


@dataclass(frozen=True)
class RegionSelection:
    """Part of a picture to draw anew: all that any of these says."""

    words: str = ""
    """Things that are to be seen in it, with commas between."""
    places: Collection[int] = ()
    """Ninths of it, 1–9."""
    painted: PilImage.Image | None = None
    """A copy of it that was painted over."""


def redraw_region(
    session: Session, catalog: Catalog, asked: Invocation, where: RegionSelection
) -> DerivedJob:
    """Four pictures that differ from one in a region.

    Composing the sheet raises what `canvases.region` and `canvases.painted_over` do.

    Raises:
        RegionEmpty: nothing says where.
        NoSegmenter: the model cannot find what words name.
    """
    image = shown(session, asked.picture)
    drawn_image, drawn = before_upscaling(session, *image)
    words = words_of(catalog, drawn, asked.text)
    size = (drawn_image.width, drawn_image.height)
    changes: RequestChanges = {
        **in_part(drawn_image, size),
        "mask_words": where.words.strip(f" {SEPARATORS}"),
    }
    entry = catalog[words.request.model]
    if not (changes["mask_words"] or where.places or where.painted is not None):
        raise canvases.RegionEmpty(finds=entry.segmenter is not None)
    if changes["mask_words"]:
        if entry.segmenter is None:
            raise NoSegmenter(entry.title)
        if not where.places and where.painted is None:
            # The worker alone can find it: there is no mask yet.
            return words.derived(asked, image, {**changes, "task": Task.INPAINTING})

    def compose(original: PilImage.Image) -> tuple[None, PilImage.Image]:
        differs = None if where.painted is None else canvases.painted_over(original, where.painted)
        return None, canvases.region(size, where.places, differs)

    return words.derived(asked, image, changes, InitImageAndMask(image[0].key, compose))
