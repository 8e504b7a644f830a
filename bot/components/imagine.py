"""Steps behind a typed prompt: its pictures are fetched, one job is announced, several are asked about."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import discord

from actions import batches, submit
from actions.batches import Proposal
from actions.downloads import File
from actions.image_prompts import beginning_with, links, noting_left_out, reading, used
from actions.input_images import InputImages
from actions.recall import recall
from actions.submit import FoundPrompt, SubmittedJob
from bot.components.batch import ask
from bot.components.image_actions import announce
from bot.components.press import Interaction, host
from bot.components.responses import defer_if_slow
from bot.components.submission_context import context_of
from bot.discord_io.attachments import AttachedFile
from prompts.parser import Parsed, Preferences
from storage.backends import Backends

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


async def imagine(
    interaction: Interaction,
    text: str,
    options: Mapping[str, str] = _NO_OPTIONS,
    *,
    attachments: Sequence[discord.Attachment] = (),
    again: str | None = None,
    preferences: Preferences | None = None,
    found: FoundPrompt | None = None,
) -> Sequence[Mapping[str, str]]:
    """Draw what a member typed, and answer; return what the files of its pictures say beside their pixels.

    `options` are the command's own, by a flag's name. `again` names an earlier prompt, to which `text` is
    added; without `preferences` the member's hold. `found` is the prompt that `text` came from.

    Raises:
        Refused: any of its kinds; nothing was written, nothing answered.
    """
    backends, context = host(interaction).backends, context_of(interaction)
    arrivals = InputImages(backends, context.member_id)

    async def work() -> SubmittedJob | Proposal:
        typed = text
        if again is not None:
            typed = await backends.database.read(recall, context.member_id, again, text)
        understood = await submit.understand(
            backends, context, typed, options, preferences=preferences, attached=bool(attachments)
        )
        if attachments or any(one.images or one.linked for one in understood):
            await submit.check_asker(backends, context)
        async with arrivals:
            files = [AttachedFile(attachment) for attachment in attachments]
            parsed = await with_images(backends, arrivals, understood, files)
            if len(parsed) == 1:
                return await submit.draw(backends, context, parsed[0], found)
            return await batches.propose(backends, context, typed, parsed)

    outcome = await defer_if_slow(interaction, work())
    if isinstance(outcome, Proposal):
        await ask(interaction, outcome)
        return arrivals.texts
    await announce(interaction, outcome)
    return arrivals.texts if outcome.fresh else ()


async def with_images(
    backends: Backends,
    arrivals: InputImages,
    parsed: Sequence[Parsed],
    files: Sequence[File],
) -> list[Parsed]:
    """Add the pictures that were attached or linked to.

    Raises:
        SeveralPictures, PictureRefused
    """
    begins: list[list[File | str]] = []
    for one in parsed:
        given: list[File | str] = [*files, *(link.url for link in one.images)]
        begins.append(given[: used(one, len(given))])
        # Who is refused for their number should not wait until all of them are there.
        beginning_with(one, ["?"] * len(begins[-1]), backends.catalog)
    # What a prompt does not use is not fetched.
    sources = list(dict.fromkeys([*itertools.chain(*begins), *links(parsed)]))
    found = await arrivals.receive(sources)
    by_source = {source: each.key for source, each in zip(sources, found, strict=True)}
    keys = {source: key for source, key in by_source.items() if isinstance(source, str)}
    begun = (
        beginning_with(
            noting_left_out(one, len(files) + len(one.images)),
            [by_source[source] for source in begin],
            backends.catalog,
        )
        for one, begin in zip(parsed, begins, strict=True)
    )
    return [replace(one, request=reading(one, one.request, keys)) for one in begun]
