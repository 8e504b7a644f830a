"""Prompts that a model draws well, a button each: for who typed no word that it knows."""

from __future__ import annotations

from collections.abc import Iterable

import discord

from bot.components.press import Press, button
from prompts.tokenizer import tokenize

VERB = "of"


def offer_buttons(commands: Iterable[str], row: int | None = None) -> list[Press]:
    """Each button carries its whole command, so that it draws what it says whatever the catalog has since."""
    return [
        button(VERB, 0, number, label=tokenize(command).text, text=command, row=row)
        for number, command in enumerate(commands, 1)
    ]


def offer_view(commands: Iterable[str]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for each in offer_buttons(commands):
        view.add_item(each)
    return view
