"""The command that a picture's file carries, shown to who brought the picture, with a button that draws it.

The private message holds the command itself, so that its button finds it without being remembered.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterable, Mapping

import discord

from bot.components.imagine import imagine
from bot.components.press import Interaction, Press, Pressed, button, host, on_press
from bot.messages import finding, refusals
from prompts import embedded_commands
from prompts.embedded_commands import Carried
from prompts.markdown import fence
from prompts.parser import Preferences
from prompts.translation import _
from storage.errors import Refused

_FENCED = re.compile(r"^```\n(.*)\n```$", re.MULTILINE)
_FILE = "prompt.txt"
_LARGEST = 16_000
"""Bytes of that file."""


class NoCommand(Refused):
    """The message shows no command any more."""


async def command_in(interaction: Interaction, texts: Mapping[str, str]) -> Carried | None:
    """Read the command in a picture's texts, beside the event loop, for they may be long; None if there is
    none.
    """
    return await asyncio.to_thread(embedded_commands.read, texts, host(interaction).backends.catalog)


def draw_button() -> Press:
    """Draws the command that its message shows."""
    return button("uc", 0, label=_("Imagine its prompt"))


def spelled(found: Carried, before: str = "") -> tuple[str, list[discord.File]]:
    """Text that shows a command, behind the text `before`; and a file with a command too long for it."""
    said = "\n".join(filter(None, [before, finding.carries(exact=found.exact, lost=found.lost)]))
    if refusals.echo_fits(said, found.command):
        return f"{said}\n{fence(found.command)}", []
    return said, [discord.File(io.BytesIO(found.command.encode()), _FILE)]


async def tell(interaction: Interaction, images: Iterable[Mapping[str, str]]) -> None:
    """Tell privately, behind the answer, what command the first of some pictures' texts carries, if any does.

    It is one message whatever their number: a place may take five behind an answer, its results among them.
    """
    for texts in images:
        if found := await command_in(interaction, texts):
            content, files = spelled(found)
            view = discord.ui.View(timeout=None)
            view.add_item(draw_button())
            await interaction.followup.send(content, view=view, files=files, ephemeral=True)
            return


async def _shown(message: discord.Message | None) -> str:
    """The command that a message of `spelled` shows.

    Raises:
        NoCommand: it shows none.
    """
    if message is not None:
        if fenced := _FENCED.search(message.content):
            return fenced[1]
        for attachment in message.attachments:
            if attachment.filename == _FILE and attachment.size <= _LARGEST:
                return (await attachment.read()).decode("utf-8", "replace")
    raise NoCommand


@on_press("uc")
async def _draw(pressed: Pressed) -> None:
    """Every value is in the command, so the member's own settings change nothing of it."""
    command = await _shown(pressed.interaction.message)
    await imagine(pressed.interaction, command, preferences=Preferences())
