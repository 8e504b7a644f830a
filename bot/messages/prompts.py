"""Why a prompt's pictures, or an earlier prompt, cannot be taken."""

from __future__ import annotations

from bot.prompt_text import code


def several_pictures() -> str:
    return (
        "Several pictures in one prompt need an image adapter, which no model has here. "
        "Leave one picture, or mix them with `/blend`."
    )


def nothing_recalled(which: str) -> str:
    return (
        f"No earlier prompt of yours has {code(which)} in it. Choose one from the list that `again` shows, "
        "or leave it out."
    )
