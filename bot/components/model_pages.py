"""The pages of `/models`: a model each, with what it drew."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import discord

from bot.components.history_search import model_number
from bot.components.press import Pressed, button, on_press
from bot.components.responses import defer_if_slow, update
from bot.messages import models as sentences
from prompts.translation import _
from storage import offers
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry

MOST_SAMPLES = 9
"""Pictures of LoRAs beside the model's own: a gallery holds ten."""
MOST_BYTES = 8 << 20
"""Bytes of a sample: a larger one is not shown."""


def model_page(catalog: Catalog, name: str) -> tuple[discord.ui.LayoutView, list[discord.File]]:
    """The page of a model that is offered, with the files it shows."""
    names = list(catalog.models)
    place = names.index(name)
    entry = catalog[name]
    view = discord.ui.LayoutView(timeout=None)
    text = sentences.described(entry, default=name == catalog.default)
    if len(names) > 1:
        text += "\n" + sentences.page_of(place + 1, len(names))
    box: discord.ui.Container[Any] = discord.ui.Container(discord.ui.TextDisplay(text))
    files = _samples(entry)
    if files:
        gallery: discord.ui.MediaGallery[Any] = discord.ui.MediaGallery()
        for title, file in files.items():
            gallery.add_item(
                media=f"attachment://{file.filename}", description=sentences.sample(title)[:1024]
            )
        box.add_item(gallery)
    view.add_item(box)
    if len(names) > 1:
        view.add_item(_turns(names, place))
    return view, list(files.values())


def _turns(names: list[str], place: int) -> discord.ui.ActionRow[Any]:
    last = len(names) - 1
    before, after = names[max(0, place - 1)], names[min(last, place + 1)]
    return discord.ui.ActionRow(
        button("mg", model_number(before), label=_("Previous"), emoji="◀️", disabled=place == 0),
        button("mg", model_number(after), label=_("Next"), emoji="▶️", disabled=place == last),
    )


def _samples(entry: ModelEntry) -> Mapping[str, discord.File]:
    """Sample pictures by what drew them: the model's, then its LoRAs'; what is not there is left out."""
    given = {entry.title: entry.sample, **{name: lora.sample for name, lora in entry.loras.items()}}
    found: dict[str, discord.File] = {}
    for title, file in given.items():
        data = _read(file)
        if data is not None and len(found) <= MOST_SAMPLES:
            found[title] = discord.File(io.BytesIO(data), f"sample-{len(found)}{Path(file or '').suffix}")
    return found


def _read(file: str | None) -> bytes | None:
    if file is None:
        return None
    place = Path(file)
    try:
        return place.read_bytes() if place.stat().st_size <= MOST_BYTES else None
    except OSError:
        return None


@on_press("mg")
async def _turn(pressed: Pressed) -> None:
    """To the page of a model, or to the default's where it is not offered any more."""
    work = pressed.backends.database.read(
        offers.offered, pressed.backends.catalog, pressed.interaction.guild_id
    )
    catalog = await defer_if_slow(pressed.interaction, work, thinking=False)
    wanted = (name for name in catalog.models if model_number(name) == pressed.id)
    view, files = model_page(catalog, next(wanted, catalog.default))
    await update(pressed.interaction, view, files=files)
