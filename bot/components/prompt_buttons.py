"""The prompts that `/describe` and `/shorten` have found: a numbered button each, which draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import discord
from sqlalchemy.orm import Session

from actions import found_prompts, submit
from actions.submit import FoundPrompt
from bot.components.custom_ids import CustomId, parse
from bot.components.image_actions import announce
from bot.components.modals import Form, imagine_form, open_form
from bot.components.press import Interaction, Press, Pressed, button, colour, host, on_press
from bot.components.responses import await_before_form, defer_if_slow, refresh_buttons
from bot.components.submission_context import context_of
from bot.messages import pictures
from storage.tables import Job, Member

NUMBERS = ("de", "sn")
"""The verbs of the numbers below a description, and below a shortened prompt."""


def numbers(verb: str, job: Job, drawn: Mapping[int, bool], row: int | None = None) -> Sequence[Press]:
    """A button for each prompt; those that were drawn, and those with other words, in their colours."""
    return [
        button(
            verb,
            job.id,
            index + 1,
            emoji=pictures.number_of(index),
            used=index in drawn,
            remixed=drawn.get(index, False),
            row=row,
        )
        for index in range(len(found_prompts.prompts(job)))
    ]


async def _draw(pressed: Pressed) -> None:
    """Draw the prompt of this number; with Remix on, open it in a form first."""
    interaction, backends, member_id = pressed.interaction, pressed.backends, pressed.interaction.user.id
    found = FoundPrompt(pressed.id, pressed.n - 1)

    def read(session: Session) -> str | Form:
        text = found_prompts.prompt(session, found, member_id)
        member = session.get(Member, member_id)
        remix = member is not None and member.settings.get("remix")
        return imagine_form(found.job_id, text, pressed.n) if remix else text

    prompt = await await_before_form(interaction, backends.database.read(read), ephemeral=False)
    if isinstance(prompt, Form):
        await open_form(interaction, prompt)
        return
    press = f"{member_id}:{pressed.custom_id}"
    work = submit.imagine(backends, context_of(interaction, press), prompt, found=found)
    await announce(interaction, await defer_if_slow(interaction, work))
    await colour_numbers(interaction, found.job_id)


for _verb in NUMBERS:
    on_press(_verb)(_draw)


async def colour_numbers(interaction: Interaction, job_id: int) -> None:
    """Give the numbers below the pressed message the colours that the database has."""
    await refresh_buttons(interaction, partial(_coloured, interaction, job_id))


async def _coloured(interaction: Interaction, job_id: int) -> discord.ui.View | discord.ui.LayoutView:
    """The message's own buttons, since only their colours are another."""
    drawn = await host(interaction).backends.database.read(found_prompts.drawn, job_id)
    assert interaction.message is not None
    layout = interaction.message.flags.components_v2
    view: Any = (discord.ui.LayoutView if layout else discord.ui.View).from_message(interaction.message)
    for item in view.walk_children():
        number = _number(item)
        if number is not None:
            item.style = colour(used=number.n - 1 in drawn, remixed=drawn.get(number.n - 1, False))
    # Stopped, it is sent as it is, but not kept in memory.
    view.stop()
    return view  # type: ignore[no-any-return]


def _number(item: object) -> Any:
    if not isinstance(item, discord.ui.Button) or item.custom_id is None:
        return None
    custom_id: CustomId = parse(item.custom_id)
    return custom_id if custom_id.verb in NUMBERS else None
