"""Titles and labels of the forms that open when a button is pressed, each at most 45 characters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from prompts.translation import N_, _

PLACES: Mapping[str, str] = MappingProxyType(
    {
        "1": N_("Top left"),
        "2": N_("Top"),
        "3": N_("Top right"),
        "4": N_("Left"),
        "5": N_("Middle"),
        "6": N_("Right"),
        "7": N_("Bottom left"),
        "8": N_("Bottom"),
        "9": N_("Bottom right"),
    }
)
"""Ninths of a picture by their number, line by line."""


def imagine_title() -> str:
    return _("Imagine")


def prompt_label() -> str:
    return _("Prompt")


def zoom_label() -> str:
    return _("Prompt, --ar and --zoom from 1 to 2")


def what_label() -> str:
    return _("What to draw there")


def where_label() -> str:
    return _("Where, in words")


def where_placeholder() -> str:
    return _("The sky, the castle")


def where_description() -> str:
    return _("What is named here, chosen below and painted over is drawn anew, all of it together.")


def places_label() -> str:
    return _("Places to draw anew")


def places_placeholder() -> str:
    return _("Choose one or more")


def painted_label() -> str:
    return _("Or a painted copy of the picture")


def painted_description() -> str:
    return _("Save the picture, paint over what shall be drawn anew in any colour, and add it here.")
