"""The request of a zoom, a pan, Make Square or a region: a picture of which part is drawn anew.

Canvases say where the picture lies; whoever submits the request composes sheet and mask and adds their keys.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from PIL import Image as PilImage
from sqlalchemy.orm import Session

from actions import canvas as canvases
from actions.canvas import Canvas, Direction
from actions.variations import (
    OF_GRIDS,
    DerivedJob,
    InitImageAndMask,
    Words,
    before_upscaling,
    own_model,
    shaped,
    shown,
    unseeded,
    with_installed_models,
    words_of,
)
from prompts import parser
from prompts.tokenizer import SEPARATORS
from storage.catalog import Catalog, Size
from storage.contract import GRID, Action, RequestChanges, Task
from storage.errors import Refused
from storage.tables import Image, Job

CONTINUED = 0.4
"""The strength of what goes on from a picture: the drawing begins with its stretched edges and keeps them."""
WORDED = 0.9
"""The strength where changed words ask for something else around it: little more than the edges' colours."""

ZOOM = 2.0
"""Zoom that Custom Zoom's form begins with."""

Outpainting = Literal[
    Action.ZOOM_OUT,
    Action.ZOOM_OUT_15X,
    Action.MAKE_SQUARE,
    Action.PAN_LEFT,
    Action.PAN_RIGHT,
    Action.PAN_UP,
    Action.PAN_DOWN,
]

_ZOOMS = MappingProxyType({Action.ZOOM_OUT: 2.0, Action.ZOOM_OUT_15X: 1.5})
_PANS = MappingProxyType(
    {
        Action.PAN_LEFT: Direction.LEFT,
        Action.PAN_RIGHT: Direction.RIGHT,
        Action.PAN_UP: Direction.UP,
        Action.PAN_DOWN: Direction.DOWN,
    }
)


class NoSquarerSize(Refused):
    """The model draws nothing that is nearer to a square; `title` is the model's."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.title = title


class NoSegmenter(Refused):
    """Nothing finds what words name in the pictures of this model; `title` is its own."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.title = title


def outpaint(
    session: Session, catalog: Catalog, image_id: int, action: Outpainting, text: str | None = None
) -> DerivedJob:
    """Four pictures of which one is a part: more of the scene around it, or beside it.

    Raises:
        NoSquarerSize: of Make Square.
    """
    picture = shown(session, image_id)
    drawn_image, drawn = before_upscaling(session, *picture)
    words = words_of(catalog, drawn, text)
    entry = catalog[words.request.model]
    size = (drawn_image.width, drawn_image.height)
    if action is Action.MAKE_SQUARE:
        if canvases.squareness(entry.nearest_size(1.0)) <= canvases.squareness(size):
            raise NoSquarerSize(entry.title)
        canvas = canvases.squared(size, entry)
    elif action in _ZOOMS:
        canvas = canvases.zoomed(size, (words.request.width, words.request.height), _ZOOMS[action])
    else:
        canvas = canvases.panned(size, entry, _PANS[action])
    return _on_canvas(words, action, picture, drawn_image, canvas)


def custom_zoom_prompt(session: Session, image_id: int) -> str:
    """Prompt that fills Custom Zoom's form: the picture's words, its ratio and `--zoom 2`.

    Raises:
        NoSuchImage, PictureWithheld
    """
    drawn_image, drawn = before_upscaling(session, *shown(session, image_id))
    return f"{shaped(unseeded(drawn), (drawn_image.width, drawn_image.height))} --zoom {ZOOM:g}"


def custom_zoom(session: Session, catalog: Catalog, image_id: int, text: str) -> DerivedJob:
    """Four pictures with one in the middle, of the ratio and the `--zoom` (1–2, by default 2) in the text.

    Raises:
        FlagError: it cannot be understood.
        NothingToDraw: the picture would fill the sheet.
    """
    picture = shown(session, image_id)
    drawn_image, drawn = before_upscaling(session, *picture)
    size = (drawn_image.width, drawn_image.height)
    with_installed_models(catalog, drawn)
    parsed = parser.parse(text, catalog, own_model(catalog, drawn))
    # Elsewhere the flag has no meaning, and its writer is told.
    parsed = replace(parsed, notes=tuple(note for note in parsed.notes if note.flag != "zoom"))
    words = Words(parsed.request, parser.without(parsed.text, "zoom"), parsed)
    factor = ZOOM if parsed.zoom is None else parsed.zoom
    canvas = canvases.zoomed(size, (words.request.width, words.request.height), factor)
    return _on_canvas(words, Action.ZOOM_CUSTOM, picture, drawn_image, canvas)


@dataclass(frozen=True)
class RegionSelection:
    """Part of a picture to draw anew: all that any of these says."""

    words: str = ""
    """Things that are to be seen in it, with commas between."""
    places: Collection[int] = ()
    """Ninths of it, 1–9."""
    painted: PilImage.Image | None = None
    """A copy of it that was painted over."""


def region(
    session: Session, catalog: Catalog, image_id: int, text: str, where: RegionSelection
) -> DerivedJob:
    """Four pictures that differ from one in a region.

    Composing the sheet raises what `canvases.region` and `canvases.painted_over` do.

    Raises:
        RegionEmpty: nothing says where.
        NoSegmenter: the model cannot find what words name.
    """
    picture = shown(session, image_id)
    drawn_image, drawn = before_upscaling(session, *picture)
    words = words_of(catalog, drawn, text)
    size = (drawn_image.width, drawn_image.height)
    changes: RequestChanges = {
        **_drawn_anew(drawn_image, size),
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
            return words.derived(Action.VARY_REGION, picture, {**changes, "task": Task.INPAINTING})

    def compose(original: PilImage.Image) -> tuple[None, PilImage.Image]:
        differs = None if where.painted is None else canvases.painted_over(original, where.painted)
        return None, canvases.region(size, where.places, differs)

    return words.derived(Action.VARY_REGION, picture, changes, InitImageAndMask(picture[0].key, compose))


def _on_canvas(
    words: Words, action: Action, picture: tuple[Image, Job], drawn: Image, canvas: Canvas
) -> DerivedJob:
    continues = words.request.prompt == picture[1].request["prompt"]
    changes: RequestChanges = {
        **_drawn_anew(drawn, canvas.size),
        "strength": CONTINUED if continues else WORDED,
        "continues": continues,
        "tile": False,
    }
    return words.derived(action, picture, changes, InitImageAndMask(drawn.key, canvas.compose))


def _drawn_anew(drawn: Image, size: Size) -> RequestChanges:
    """Part of a picture is drawn, and the rest of it stays; whoever composes the sheet adds its keys."""
    return {
        **OF_GRIDS,
        "task": Task.IMAGE_TO_IMAGE,
        "parent_image_id": drawn.id,
        "num_images_per_prompt": GRID,
        "width": size[0],
        "height": size[1],
        "stop": 100,
    }
