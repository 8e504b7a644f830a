"""Answers to presses and commands within Discord's three seconds, and their messages repainted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import closing, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import discord
from discord.utils import MISSING

from bot.components.press import Interaction, host
from bot.components.submission_context import is_user_install

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 0.5
"""Seconds after which the answer is deferred; Discord forgets an interaction after three."""

FORM_PATIENCE = 2.2
"""Seconds after which it is too late for a form."""

BUSY = 8
"""Reads and writes under way at which an answer is deferred at once: the work for it would take too long."""

FORGOTTEN_S = 3.0
_PRIVATE = "private"

_repainting: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()


async def defer_if_slow(
    interaction: Interaction, work: Coroutine[Any, Any, T], *, thinking: bool = True, ephemeral: bool = False
) -> T:
    """Await `work`; where it takes long, tell Discord that the answer follows.

    `thinking` promises a new message; False promises a change of the pressed one. On a busy bot that is told
    before the work begins: many answers at once are then given before any of the work for them.
    """
    if host(interaction).backends.database.under_way >= BUSY:
        with closing(work):
            await _defer(interaction, thinking=thinking, ephemeral=ephemeral)
            return await work
    return await _within(PATIENCE, interaction, work, thinking=thinking, ephemeral=ephemeral)


async def await_before_form(interaction: Interaction, work: Awaitable[T], *, ephemeral: bool = True) -> T:
    """Await what a form is made of, or that none is to be opened.

    A form can only be the first answer, so it is waited for until that is nearly too late. The answer that is
    promised then can say that the form came too late; it is `ephemeral` where no job may come of it.
    """
    return await _within(FORM_PATIENCE, interaction, work, thinking=True, ephemeral=ephemeral)


async def _within(
    seconds: float, interaction: Interaction, work: Awaitable[T], *, thinking: bool, ephemeral: bool
) -> T:
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds - _age_s(interaction)))
    if not done:
        await _defer(interaction, thinking=thinking, ephemeral=ephemeral)
    return await task


async def _defer(interaction: Interaction, *, thinking: bool, ephemeral: bool) -> None:
    if interaction.response.is_done():
        return
    await interaction.response.defer(thinking=thinking, ephemeral=ephemeral)
    interaction.extras[_PRIVATE] = ephemeral


async def defer_ephemeral(interaction: Interaction) -> None:
    """Tell Discord at once that a private answer follows, for work that surely takes long."""
    await _defer(interaction, thinking=True, ephemeral=True)


def _age_s(interaction: Interaction) -> float:
    """Seconds since the interaction was made, as far as this clock and Discord's agree."""
    age = (discord.utils.utcnow() - interaction.created_at).total_seconds()
    return age if 0 <= age < FORGOTTEN_S else 0.0


async def respond(
    interaction: Interaction,
    content: str,
    *,
    view: discord.ui.View = MISSING,
    files: Sequence[discord.File] = (),
    ephemeral: bool = False,
) -> int | None:
    """Answer with a new message, or fill in the deferred one; returns its id where Discord tells it."""
    if ephemeral and _promised_to_all(interaction):
        with suppress(discord.HTTPException):
            await interaction.delete_original_response()
        hidden = await interaction.followup.send(content, view=view, files=files, ephemeral=True, wait=True)
        return hidden.id
    if interaction.response.is_done():
        message = await interaction.edit_original_response(content=content, view=view, attachments=files)
        return message.id
    sent = await interaction.response.send_message(content, view=view, files=files, ephemeral=ephemeral)
    return sent.message_id


def _promised_to_all(interaction: Interaction) -> bool:
    """True if everybody sees that an answer follows: what is filled in there cannot become private."""
    deferred = interaction.response.type is discord.InteractionResponseType.deferred_channel_message
    return deferred and not interaction.extras.get(_PRIVATE)


async def refresh_buttons(
    interaction: Interaction, make: Callable[[], Awaitable[discord.ui.View | discord.ui.LayoutView]]
) -> None:
    """Give the pressed message the buttons that `make` reads from the database.

    The message is edited with the bot's own token, since the press was answered with a message. Where
    that is impossible (only the member installed Easel; the message is private or gone) it is left as it
    is: the buttons work all the same.
    """
    message = interaction.message
    if message is None or message.flags.ephemeral or is_user_install(interaction):
        return
    lock = _repainting.setdefault(message.id, asyncio.Lock())
    async with lock:
        view = await make()
        try:
            await message.edit(view=view)
        except discord.HTTPException as error:
            log.info("message %s could not be repainted: %s", message.id, error)


async def update(
    interaction: Interaction,
    view: discord.ui.View | discord.ui.LayoutView,
    *,
    files: list[discord.File] | None = None,
) -> None:
    """Answer a press by changing the pressed message."""
    if interaction.response.is_done():
        if files is None:
            await interaction.edit_original_response(view=view)
        else:
            await interaction.edit_original_response(view=view, attachments=files)
    elif files is None:
        await interaction.response.edit_message(view=view)
    else:
        await interaction.response.edit_message(view=view, attachments=files)


async def replace_with_text(interaction: Interaction, content: str) -> None:
    """Answer a press by putting a sentence in place of the pressed message's question and buttons."""
    await edit(interaction, content, None)


async def edit(interaction: Interaction, content: str, view: discord.ui.View | None) -> None:
    """Answer a press by changing what the pressed message says, and its buttons."""
    if interaction.response.is_done():
        await interaction.edit_original_response(content=content, view=view)
    else:
        await interaction.response.edit_message(content=content, view=view)


async def show_privately(
    interaction: Interaction, view: discord.ui.LayoutView, files: list[discord.File] | None = None
) -> None:
    """Answer with a panel that only the member sees."""
    if interaction.response.is_done():
        await interaction.edit_original_response(view=view, attachments=files or [])
    else:
        await interaction.response.send_message(view=view, files=files or [], ephemeral=True)
