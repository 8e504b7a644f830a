"""Reasons why a prompt's pictures, or an earlier prompt, cannot be taken."""

from __future__ import annotations

from prompts.markdown import code
from prompts.translation import _


def several_pictures(model: str) -> str:
    return _(
        "Several pictures in one prompt need an image adapter, which {model} does not have here. Leave one "
        "picture, or mix them with `/blend`."
    ).format(model=code(model))


def nothing_recalled(which: str) -> str:
    return _(
        "No earlier prompt of yours has {words} in it. Choose one from the list that `again` "
        "shows, or leave it out."
    ).format(words=code(which))
