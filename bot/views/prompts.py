"""What follows a typed prompt: its pictures are fetched, one job is announced, several are asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import discord

from bot import batches, incoming, submit
from bot.batches import Proposal
from bot.flags import Parsed, Preferences
from bot.recall import recall
from bot.submit import Asked, Found
from bot.views.answering import in_time
from bot.views.batches import ask
from bot.views.deeds import announce
from bot.views.press import Interaction, host
from bot.views.wishes import wish_of
from storage.backends import Backends
from storage.contract import Task
from storage.errors import Refused

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class SeveralPictures(Refused):
    """Only an image adapter can draw by more than one picture."""


async def imagine(
    interaction: Interaction,
    text: str,
    options: Mapping[str, str] = _NO_OPTIONS,
    *,
    attachments: Sequence[discord.Attachment] = (),
    again: str | None = None,
    preferences: Preferences | None = None,
    found: Found | None = None,
) -> None:
    """Draw what a member typed, and answer. `options` are the command's own, by a flag's name.

    `again` names an earlier prompt, to which `text` is added; without `preferences` the member's hold.
    `found` is the prompt that `text` came from.

    Raises:
        Refused: any of its kinds; nothing was written, nothing answered.
    """
    backends, wish = host(interaction).backends, wish_of(interaction)

    async def work() -> Asked | Proposal:
        typed = text
        if again is not None:
            typed = await backends.database.read(recall, wish.member_id, again, text)
        understood = await submit.understand(
            backends, wish, typed, options, preferences=preferences, attached=bool(attachments)
        )
        parsed = await with_pictures(backends, understood, attachments)
        if len(parsed) == 1:
            return await submit.draw(backends, wish, parsed[0], found)
        return await batches.propose(backends, wish, typed, parsed)

    outcome = await in_time(interaction, work())
    if isinstance(outcome, Asked):
        await announce(interaction, outcome)
    else:
        await ask(interaction, outcome)


async def with_pictures(
    backends: Backends, parsed: Sequence[Parsed], attachments: Sequence[discord.Attachment]
) -> list[Parsed]:
    """What was understood, beginning with the pictures that were attached or linked to.

    Raises:
        SeveralPictures, PictureRefused
    """
    for one in parsed:
        if len(attachments) + len(one.images) > 1:
            raise SeveralPictures
    keys: dict[str, str] = {}
    for url in dict.fromkeys(link.url for one in parsed for link in one.images):
        keys[url] = (await incoming.receive(backends, url)).key
    attached = [(await incoming.receive(backends, attachment)).key for attachment in attachments]
    return [_beginning_with(one, [*attached, *(keys[link.url] for link in one.images)]) for one in parsed]


def _beginning_with(parsed: Parsed, keys: Sequence[str]) -> Parsed:
    if not keys:
        return parsed
    changes = {"task": Task.IMAGE_TO_IMAGE, "source_key": keys[0], "strength": parsed.strength}
    return replace(parsed, request=parsed.request.model_copy(update=changes))
