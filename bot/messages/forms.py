"""What the forms say that open when a button is pressed: titles and labels, each at most 45 characters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PLACES: Mapping[str, str] = MappingProxyType(
    {
        "1": "Top left",
        "2": "Top",
        "3": "Top right",
        "4": "Left",
        "5": "Middle",
        "6": "Right",
        "7": "Bottom left",
        "8": "Bottom",
        "9": "Bottom right",
    }
)
"""Ninths of a picture by their number, line by line."""


def imagine_title() -> str:
    return "Imagine"


def remix_title() -> str:
    return "Remix"


def reroll_title() -> str:
    return "Draw again"


def pan_title() -> str:
    return "Pan"


def zoom_title() -> str:
    return "Zoom Out"


def square_title() -> str:
    return "Make Square"


def custom_zoom_title() -> str:
    return "Custom Zoom"


def region_title() -> str:
    return "Vary (Region)"


def prompt_label() -> str:
    return "Prompt"


def zoom_label() -> str:
    return "Prompt, --ar and --zoom from 1 to 2"


def what_label() -> str:
    return "What to draw there"


def places_label() -> str:
    return "Places to draw anew"


def places_placeholder() -> str:
    return "Choose one or more"


def painted_label() -> str:
    return "Or a painted copy of the picture"


def painted_description() -> str:
    return "Save the picture, paint over what shall be drawn anew in any colour, and add it here."
