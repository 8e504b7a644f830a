"""`/shorten`: which words of a prompt matter, shorter prompts, and buttons that draw them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

import actions.shorten
from actions import found_prompts
from actions.shorten import NothingKnown, weights, weights_of
from bot.components.image_actions import announce
from bot.components.press import Interaction, Pressed, button, host, on_press
from bot.components.prompt_buttons import numbers
from bot.components.prompt_offers import offer_view
from bot.components.responses import defer_if_slow, respond
from bot.components.submission_context import context_of
from bot.messages import pictures
from prompts.translation import _
from storage.tables import Job


def shortened(job: Job, drawn: Mapping[int, bool], note: str = "") -> discord.ui.LayoutView:
    """The whole answer; `note` is said at its end. `drawn` as in `described`."""
    found = found_prompts.prompts(job)
    view = discord.ui.LayoutView(timeout=None)
    box: discord.ui.Container[Any] = discord.ui.Container()
    tokens = pictures.important_tokens(job, weights_of(job))
    box.add_item(discord.ui.TextDisplay(tokens))
    box.add_item(discord.ui.TextDisplay(pictures.shortened(found) + note))
    if found:
        box.add_item(discord.ui.ActionRow(*numbers("sn", job, drawn)))
    box.add_item(discord.ui.ActionRow(button("sd", job.id, label=_("Show Details"))))
    view.add_item(box)
    return view


async def shorten(interaction: Interaction, prompt: str) -> None:
    """Weigh what a member typed, and answer.

    Raises:
        Refused: any of its kinds but NothingKnown; nothing was written, nothing answered.
    """
    work = actions.shorten.shorten(host(interaction).backends, context_of(interaction), prompt)
    try:
        asked = await defer_if_slow(interaction, work)
    except NothingKnown as refused:
        said = pictures.nothing_known(refused.model, refused.known)
        await respond(interaction, said, view=offer_view(refused.offers), ephemeral=True)
    else:
        await announce(interaction, asked)


@on_press("sd")
async def _details(pressed: Pressed) -> None:
    member_id = pressed.interaction.user.id
    work = pressed.backends.database.read(weights, pressed.id, member_id)
    weighed = await defer_if_slow(pressed.interaction, work, ephemeral=True)
    await respond(pressed.interaction, pictures.details(weighed), ephemeral=True)
