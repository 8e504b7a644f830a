"""Text typed into a form, as a refusal gives it back."""

from __future__ import annotations

from dataclasses import dataclass

from prompts.translation import _


@dataclass(frozen=True)
class Typed:
    """A form as it was filled in, to be given back where it is refused."""

    text: str = ""
    others: tuple[str, ...] = ()
    """A line for each of its other fields."""


NOTHING = Typed()


def filled_in(label: str, values: str) -> str:
    """A field below a form's text, as it is given back."""
    return _("{label}: {values}").format(label=label, values=values)
