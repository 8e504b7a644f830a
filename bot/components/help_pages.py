"""The pages of `/help`, each with a picture that comes with Easel."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import discord

from bot.components.press import Pressed, button, on_press
from bot.components.responses import update
from bot.messages import help as sentences
from prompts.translation import _
from storage.catalog import Catalog

FOLDER = Path(__file__).parents[1] / "pictures"
PICTURES = ("help_first.webp", "help_flags.webp", "help_buttons.webp")


def picture(number: int) -> discord.File:
    """The picture of a page, counted from 0."""
    name = PICTURES[number]
    return discord.File(io.BytesIO((FOLDER / name).read_bytes()), name)


def help_page(number: int, catalog: Catalog) -> discord.ui.LayoutView:
    """A page, counted from 0, with buttons to the ones beside it."""
    gallery: discord.ui.MediaGallery[Any] = discord.ui.MediaGallery()
    gallery.add_item(media=f"attachment://{PICTURES[number]}", description=sentences.alternative(number))
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.Container(discord.ui.TextDisplay(sentences.page(number, catalog)), gallery))
    last = len(PICTURES) - 1
    before = button("pg", max(0, number - 1), label=_("Previous"), emoji="◀️", disabled=number == 0)
    after = button("pg", min(last, number + 1), label=_("Next"), emoji="▶️", disabled=number == last)
    view.add_item(discord.ui.ActionRow(before, after))
    return view


@on_press("pg")
async def _turn(pressed: Pressed) -> None:
    number = min(pressed.id, len(PICTURES) - 1)
    page = help_page(number, pressed.backends.catalog)
    await update(pressed.interaction, page, files=[picture(number)])
