"""Zoom, pan and Make Square: more of the scene around a picture, or beside it.

Canvases say where the picture lies; whoever submits the request composes sheet and mask and adds their keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.orm import Session

from actions import canvas as canvases
from actions.canvas import Canvas, Direction
from actions.derivation import (
    CONTINUED,
    WORDED,
    DerivedJob,
    InitImageAndMask,
    Invocation,
    Words,
    before_upscaling,
    in_part,
    own_model,
    shaped,
    shown,
    unseeded,
    with_installed_models,
    words_of,
)
from prompts import parser
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.catalog_values import Size
from storage.contract import RequestChanges
from storage.errors import Refused
from storage.tables import Image, Job

ZOOM = 2.0
"""Zoom that Custom Zoom's form begins with."""

Layout = Callable[[Size, Size, ModelEntry], Canvas]
"""Lays a picture of the first size on a canvas; the second is the size that the words ask for."""


class NoSquarerSize(Refused):
    """The model draws nothing that is nearer to a square; `title` is the model's."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.title = title


def zoom_out(session: Session, catalog: Catalog, asked: Invocation, *, factor: float) -> DerivedJob:
    """Four pictures with one in the middle, `factor` times smaller."""
    return _outpaint(session, catalog, asked, lambda size, wanted, _: canvases.zoomed(size, wanted, factor))


def pan(session: Session, catalog: Catalog, asked: Invocation, *, direction: Direction) -> DerivedJob:
    """Four pictures with one at the edge that lies opposite to the direction."""
    return _outpaint(session, catalog, asked, lambda size, _, entry: canvases.panned(size, entry, direction))


def make_square(session: Session, catalog: Catalog, asked: Invocation) -> DerivedJob:
    """Four pictures with one in the middle, of the model's squarest size.

    Raises:
        NoSquarerSize: the picture is as square already.
    """
    return _outpaint(session, catalog, asked, _squared)


def _squared(size: Size, _: Size, entry: ModelEntry) -> Canvas:
    if canvases.squareness(entry.nearest_size(1.0)) <= canvases.squareness(size):
        raise NoSquarerSize(entry.title)
    return canvases.squared(size, entry)


def _outpaint(session: Session, catalog: Catalog, asked: Invocation, layout: Layout) -> DerivedJob:
    image = shown(session, asked.picture)
    drawn_image, drawn = before_upscaling(session, *image)
    words = words_of(catalog, drawn, asked.text)
    wanted = words.request.width, words.request.height
    canvas = layout((drawn_image.width, drawn_image.height), wanted, catalog[words.request.model])
    return _on_canvas(words, asked, image, drawn_image, canvas)


def custom_zoom_prompt(session: Session, image_id: int) -> str:
    """Prompt that fills Custom Zoom's form: the picture's words, its ratio and `--zoom 2`.

    Raises:
        NoSuchImage, PictureWithheld
    """
    drawn_image, drawn = before_upscaling(session, *shown(session, image_id))
    return f"{shaped(unseeded(drawn), (drawn_image.width, drawn_image.height))} --zoom {ZOOM:g}"


def custom_zoom(session: Session, catalog: Catalog, asked: Invocation) -> DerivedJob:
    """Four pictures with one in the middle, of the ratio and the `--zoom` (1–2, by default 2) in the text.

    Raises:
        FlagError: it cannot be understood.
        NothingToDraw: the picture would fill the sheet.
    """
    image = shown(session, asked.picture)
    drawn_image, drawn = before_upscaling(session, *image)
    size = (drawn_image.width, drawn_image.height)
    with_installed_models(catalog, drawn)
    parsed = parser.parse(asked.text or "", catalog, own_model(catalog, drawn))
    # Elsewhere the flag has no meaning, and its writer is told.
    parsed = replace(parsed, notes=tuple(note for note in parsed.notes if note.flag != "zoom"))
    words = Words(parsed.request, parser.without(parsed.tokens, "zoom"), parsed)
    factor = ZOOM if parsed.zoom is None else parsed.zoom
    canvas = canvases.zoomed(size, (words.request.width, words.request.height), factor)
    return _on_canvas(words, asked, image, drawn_image, canvas)


def _on_canvas(
    words: Words, asked: Invocation, image: tuple[Image, Job], drawn: Image, canvas: Canvas
) -> DerivedJob:
    continues = words.request.prompt == image[1].request["prompt"]
    changes: RequestChanges = {
        **in_part(drawn, canvas.size),
        "strength": CONTINUED if continues else WORDED,
        "continues": continues,
        "tile": False,
    }
    return words.derived(asked, image, changes, InitImageAndMask(drawn.key, canvas.compose))
