"""The table of actions: all that a job is asked for with, and every button below pictures, one row each.

Sentences are in English here and translated where they are said. Buttons stand in the rows' order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from sqlalchemy.orm import Session

from actions import outpainting, variations
from actions.canvas import Direction
from actions.derivation import DerivedJob, Invocation, Subject
from actions.upscale import CREATIVITY, LARGEST_SIDE, upscale
from prompts.translation import N_
from storage.catalog import Catalog
from storage.catalog_values import Size
from storage.contract import Action

Derive = Callable[[Session, Catalog, Invocation], DerivedJob]


def _always(_: Size) -> bool:
    return True


def _oblong(size: Size) -> bool:
    return size[0] != size[1]


@dataclass(frozen=True, kw_only=True)
class ImageAction:
    """All that is known of one action. Whatever a row leaves out, it does not have."""

    action: Action | None = None
    """Recorded with the jobs that it makes; None where it makes none."""
    begin: str = ""
    """Said in front of the prompt as long as the job waits; `{number}` is the picture's place in its grid."""
    doing: str = ""
    """Said in front of the member while it is drawn, where that differs from `result`."""
    result: str = ""
    """Said in front of the member below what came of it."""
    history: str = ""
    """Said of the job in the history and in a picture's family."""

    verb: str | None = None
    """The button's in its `custom_id`, which means the same for ever."""
    subject: Subject = Subject.IMAGE
    label: str = ""
    emoji: str | None = None
    row: int | None = None
    """The row of buttons below a single picture, from 0."""
    grid_row: int | None = None
    """The row of buttons below a grid, from 0."""
    shown: Callable[[Size], bool] = _always
    """True for the sizes of pictures below which the button stands."""
    scale: int = 1
    """Factor of the picture's sides: the button is disabled where they would be beyond LARGEST_SIDE."""
    of_withheld: bool = False
    """True for a button that works for a picture that the safety check keeps."""
    colours: frozenset[Action] = frozenset()
    """Older actions that show as this button's use, as they did before it took their place."""

    derive: Derive | None = None
    """The function that derives the job's request; None where a component of its own answers the press."""
    form: str = ""
    """The title of the form in which the prompt can be changed first."""
    remix: Action | None = None
    """The action that it becomes with other words, where that is another."""

    def invocation(
        self, id_: int, n: int | None = None, text: str | None = None, *, subtle: bool = False
    ) -> Invocation:
        """One use of it, by the numbers of the button's `custom_id`."""
        assert self.action is not None
        return Invocation(self.action, self.remix or self.action, self.subject, id_, n, text, subtle)

    @property
    def coloured_by(self) -> frozenset[Action]:
        """Actions that show as this button's use."""
        return self.colours if self.action is None else self.colours | {self.action}

    def fits(self, size: Size) -> bool:
        """True if a picture of this size is small enough for it."""
        return self.scale == 1 or max(size) * self.scale <= LARGEST_SIDE


ACTIONS: tuple[ImageAction, ...] = (
    ImageAction(action=Action.IMAGINE),
    ImageAction(verb="u", subject=Subject.CELL, label="U{number}", grid_row=0),
    ImageAction(
        action=Action.VARY,
        verb="v",
        subject=Subject.CELL,
        label="V{number}",
        grid_row=1,
        begin=N_("Making variations for image #{number} with prompt "),
        result=N_("Variations by "),
        history=N_("Variations"),
        form=N_("Remix"),
        remix=Action.REMIX,
        derive=variations.vary,
    ),
    ImageAction(
        action=Action.REMIX,
        subject=Subject.CELL,
        begin=N_("Remixing image #{number} with prompt "),
        result=N_("Remix by "),
        history=N_("Remix"),
    ),
    ImageAction(
        action=Action.UPSCALE_2X,
        verb="x2",
        scale=2,
        begin=N_("Upscaling image #{number} with "),
        doing=N_("Upscaling by "),
        result=N_("Upscaled (2x) by "),
        history=N_("Upscaled (2×)"),
        derive=upscale,
    ),
    ImageAction(
        action=Action.UPSCALE_SUBTLE,
        verb="xs",
        label=N_("Upscale (Subtle)"),
        row=0,
        scale=2,
        colours=frozenset({Action.UPSCALE_2X}),
        begin=N_("Upscaling image #{number} with "),
        doing=N_("Upscaling by "),
        result=N_("Upscaled (Subtle) by "),
        history=N_("Upscaled (Subtle)"),
        derive=upscale,
    ),
    ImageAction(
        action=Action.UPSCALE_CREATIVE,
        verb="xc",
        label=N_("Upscale (Creative)"),
        row=0,
        scale=2,
        begin=N_("Upscaling image #{number} with "),
        doing=N_("Upscaling by "),
        result=N_("Upscaled (Creative) by "),
        history=N_("Upscaled (Creative)"),
        derive=partial(upscale, creativity=CREATIVITY),
    ),
    ImageAction(
        action=Action.UPSCALE_4X,
        verb="x4",
        label=N_("Upscale (4×)"),
        row=0,
        scale=4,
        begin=N_("Upscaling image #{number} with "),
        doing=N_("Upscaling by "),
        result=N_("Upscaled (4x) by "),
        history=N_("Upscaled (4×)"),
        derive=partial(upscale, scale=4),
    ),
    ImageAction(
        action=Action.VARY_SUBTLE,
        verb="vs",
        label=N_("Vary (Subtle)"),
        row=1,
        begin=N_("Making subtle variations for image #{number} with prompt "),
        result=N_("Variations (Subtle) by "),
        history=N_("Variations (Subtle)"),
        form=N_("Remix"),
        remix=Action.REMIX_SUBTLE,
        derive=partial(variations.vary, subtle=True),
    ),
    ImageAction(
        action=Action.REMIX_SUBTLE,
        begin=N_("Remixing subtly image #{number} with prompt "),
        result=N_("Remix (Subtle) by "),
        history=N_("Remix (Subtle)"),
    ),
    ImageAction(
        action=Action.VARY_STRONG,
        verb="vb",
        label=N_("Vary (Strong)"),
        row=1,
        begin=N_("Making strong variations for image #{number} with prompt "),
        result=N_("Variations (Strong) by "),
        history=N_("Variations (Strong)"),
        form=N_("Remix"),
        remix=Action.REMIX_STRONG,
        derive=partial(variations.vary, subtle=False),
    ),
    ImageAction(
        action=Action.REMIX_STRONG,
        begin=N_("Remixing strongly image #{number} with prompt "),
        result=N_("Remix (Strong) by "),
        history=N_("Remix (Strong)"),
    ),
    ImageAction(
        action=Action.VARY_REGION,
        verb="vr",
        label=N_("Vary (Region)"),
        row=1,
        begin=N_("Making variations of a region of image #{number} with prompt "),
        result=N_("Variations (Region) by "),
        history=N_("Variations (Region)"),
        form=N_("Vary (Region)"),
        remix=Action.REMIX_REGION,
    ),
    ImageAction(
        action=Action.REMIX_REGION,
        begin=N_("Remixing a region of image #{number} with prompt "),
        result=N_("Remix (Region) by "),
        history=N_("Remix (Region)"),
    ),
    ImageAction(
        action=Action.ZOOM_OUT,
        verb="z2",
        label=N_("Zoom Out 2×"),
        row=2,
        begin=N_("Zooming out of image #{number} with "),
        result=N_("Zoom Out by "),
        history=N_("Zoomed out 2×"),
        form=N_("Zoom Out"),
        derive=partial(outpainting.zoom_out, factor=2.0),
    ),
    ImageAction(
        action=Action.ZOOM_OUT_15X,
        verb="z15",
        label=N_("Zoom Out 1.5×"),
        row=2,
        begin=N_("Zooming out of image #{number} with "),
        result=N_("Zoom Out by "),
        history=N_("Zoomed out 1.5×"),
        form=N_("Zoom Out"),
        derive=partial(outpainting.zoom_out, factor=1.5),
    ),
    ImageAction(
        action=Action.ZOOM_CUSTOM,
        verb="zc",
        label=N_("Custom Zoom"),
        row=2,
        begin=N_("Zooming out of image #{number} with "),
        result=N_("Zoom Out by "),
        history=N_("Zoomed out"),
        form=N_("Custom Zoom"),
    ),
    ImageAction(
        action=Action.MAKE_SQUARE,
        verb="sq",
        label=N_("Make Square"),
        row=2,
        shown=_oblong,
        begin=N_("Making square image #{number} with "),
        result=N_("Make Square by "),
        history=N_("Made square"),
        form=N_("Make Square"),
        derive=outpainting.make_square,
    ),
    ImageAction(
        action=Action.PAN_LEFT,
        verb="al",
        emoji="⬅️",
        row=3,
        begin=N_("Panning image #{number} with "),
        result=N_("Pan Left by "),
        history=N_("Panned left"),
        form=N_("Pan"),
        derive=partial(outpainting.pan, direction=Direction.LEFT),
    ),
    ImageAction(
        action=Action.PAN_RIGHT,
        verb="ar",
        emoji="➡️",
        row=3,
        begin=N_("Panning image #{number} with "),
        result=N_("Pan Right by "),
        history=N_("Panned right"),
        form=N_("Pan"),
        derive=partial(outpainting.pan, direction=Direction.RIGHT),
    ),
    ImageAction(
        action=Action.PAN_UP,
        verb="au",
        emoji="⬆️",
        row=3,
        begin=N_("Panning image #{number} with "),
        result=N_("Pan Up by "),
        history=N_("Panned up"),
        form=N_("Pan"),
        derive=partial(outpainting.pan, direction=Direction.UP),
    ),
    ImageAction(
        action=Action.PAN_DOWN,
        verb="ad",
        emoji="⬇️",
        row=3,
        begin=N_("Panning image #{number} with "),
        result=N_("Pan Down by "),
        history=N_("Panned down"),
        form=N_("Pan"),
        derive=partial(outpainting.pan, direction=Direction.DOWN),
    ),
    ImageAction(verb="fav", emoji="❤️", row=3, of_withheld=True),
    ImageAction(
        action=Action.REROLL,
        verb="r",
        subject=Subject.JOB,
        emoji="🔄",
        row=4,
        grid_row=0,
        of_withheld=True,
        begin=N_("Rerolling "),
        history=N_("Drawn again"),
        form=N_("Draw again"),
        derive=variations.reroll,
    ),
    ImageAction(verb="dm", emoji="✉️", row=4),
    ImageAction(verb="i", emoji="ℹ️", row=4, of_withheld=True),
    ImageAction(verb="rm", emoji="🗑️", row=4, of_withheld=True),
    ImageAction(action=Action.BLEND, begin=N_("Blending "), result=N_("Blend by "), history=N_("Blended")),
    ImageAction(
        action=Action.DESCRIBE,
        begin=N_("Describing "),
        result=N_("Described by "),
        history=N_("Described"),
    ),
    ImageAction(
        action=Action.SHORTEN,
        begin=N_("Shortening "),
        result=N_("Shortened by "),
        history=N_("Shortened"),
    ),
)

BY_ACTION: Mapping[Action, ImageAction] = MappingProxyType(
    {row.action: row for row in ACTIONS if row.action is not None}
)
BY_VERB: Mapping[str, ImageAction] = MappingProxyType(
    {row.verb: row for row in ACTIONS if row.verb is not None}
)
