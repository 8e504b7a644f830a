"""The panel of `/mod models`: what is on in a server, its default, and why a model cannot be loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from sqlalchemy.orm import Session

from bot.components.cancel import may_moderate
from bot.components.custom_ids import CustomId
from bot.components.press import Press, Pressed, button, on_press
from bot.components.responses import defer_if_slow, update
from bot.messages import models as sentences
from prompts.translation import _
from storage import offers
from storage.catalog import Catalog
from storage.offers import Offer

PAGE = 10


def moderated_models(catalog: Catalog, offer: Offer, page: int = 0) -> discord.ui.LayoutView:
    """A page of models, with menus to turn them on or off and to choose the default."""
    names = list(catalog.models)
    last = (len(names) - 1) // PAGE
    page = min(page, last)
    shown = names[page * PAGE :][:PAGE]
    lines = [
        sentences.moderated_title(last + 1, page),
        *(sentences.moderated(catalog, offer, name) for name in shown),
    ]
    view = discord.ui.LayoutView(timeout=None)
    box: discord.ui.Container[Any] = discord.ui.Container(discord.ui.TextDisplay("\n".join(lines)))
    for verb, placeholder, choices in (
        ("mo", sentences.turn_on(), [name for name in shown if name in offer.off]),
        ("mf", sentences.turn_off(), [name for name in shown if name not in offer.off]),
        (
            "md",
            sentences.make_default(),
            [name for name in shown if name in offer.on and name != offer.default],
        ),
    ):
        if choices:
            box.add_item(discord.ui.ActionRow(_menu(catalog, verb, page, placeholder, choices)))
    view.add_item(box)
    if last:
        before = button("mp", max(0, page - 1), label=_("Previous"), emoji="◀️", disabled=page == 0)
        after = button("mp", min(last, page + 1), label=_("Next"), emoji="▶️", disabled=page == last)
        view.add_item(discord.ui.ActionRow(before, after))
    return view


def _menu(catalog: Catalog, verb: str, page: int, placeholder: str, names: Sequence[str]) -> Press:
    options = [discord.SelectOption(label=catalog[name].title[:100], value=name) for name in names]
    return Press(
        discord.ui.Select(custom_id=str(CustomId(verb, page)), placeholder=placeholder, options=options)
    )


async def _change(pressed: Pressed, change: Any = None) -> None:
    """Do what a menu says with the model that was chosen, and show the page anew."""
    may_moderate(pressed.interaction)
    guild_id, by = pressed.interaction.guild_id, pressed.interaction.user.id
    assert guild_id is not None
    catalog = pressed.backends.catalog
    chosen = [name for name in pressed.values if name in catalog.models]

    def write(session: Session) -> Offer:
        for name in chosen if change is not None else ():
            change(session, guild_id, by, name)
        return offers.offer(session, catalog, guild_id)

    offer = await defer_if_slow(pressed.interaction, pressed.backends.database.write(write), thinking=False)
    await update(pressed.interaction, moderated_models(catalog, offer, pressed.id))


@on_press("mo")
async def _turn_on(pressed: Pressed) -> None:
    await _change(pressed, lambda session, *where: offers.turn(session, *where, on=True))


@on_press("mf")
async def _turn_off(pressed: Pressed) -> None:
    await _change(pressed, lambda session, *where: offers.turn(session, *where, on=False))


@on_press("md")
async def _make_default(pressed: Pressed) -> None:
    await _change(pressed, offers.choose_default)


@on_press("mp")
async def _turn_page(pressed: Pressed) -> None:
    await _change(pressed)
