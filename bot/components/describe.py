"""`/describe`: prompts for a picture, with buttons that draw them; and `/blend`, which begins as it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import discord

import actions.blend
import actions.describe
from actions import submit
from actions.describe import Brought, all_prompts, describe_again
from actions.downloads import File
from actions.input_images import InputImages
from actions.submit import SubmittedJob
from bot.components import embedded_commands, imagine
from bot.components.image_actions import announce
from bot.components.press import Interaction, Pressed, button, host, on_press
from bot.components.prompt_buttons import numbers
from bot.components.responses import defer_if_slow
from bot.components.submission_context import context_of
from bot.discord_io.attachments import AttachedFile
from prompts.translation import _
from storage.errors import Refused
from storage.tables import Job

LONGEST_NAME = 200
"""Characters of a file's name, or of a link, by which a described picture is called."""


class OneSource(Refused):
    """There are `given` pictures to describe, and not one."""

    def __init__(self, given: int) -> None:
        super().__init__(f"{given} pictures")
        self.given = given


def described(job: Job, drawn: Mapping[int, bool]) -> discord.ui.View:
    """The buttons below a described picture. Needs a running event loop, as every view does.

    `drawn`: the numbers from 0 on whose prompt was drawn, and whether with other words.
    """
    view = discord.ui.View(timeout=None)
    found = numbers("de", job, drawn, row=0)
    for number in found:
        view.add_item(number)
    view.add_item(button("dr", job.id, emoji="🔄", row=0))
    if len(found) > 1:
        view.add_item(button("da", job.id, label=_("Imagine all"), row=1))
    return view


async def describe(interaction: Interaction, source: discord.Attachment | str) -> None:
    """Describe a picture that a member chose, and answer.

    Raises:
        PictureRefused, NoDescriber, and any other Refused: nothing was written, nothing answered.
    """
    backends, context = host(interaction).backends, context_of(interaction)
    given = source if isinstance(source, str) else AttachedFile(source)

    async def work() -> tuple[SubmittedJob, Sequence[Brought]]:
        await submit.check_asker(backends, context)
        async with InputImages(backends, context.member_id) as arrivals:
            brought = await _brought(arrivals, [given])
            return await actions.describe.describe(backends, context, *brought), brought

    await _announce(interaction, *await defer_if_slow(interaction, work()))


async def blend(interaction: Interaction, images: Sequence[discord.Attachment], dimensions: str) -> None:
    """Blend the pictures that a member chose, and answer.

    Raises:
        PictureRefused, DuplicateImages, NoDescriber, and any other Refused: nothing was written.
    """
    backends, context = host(interaction).backends, context_of(interaction)

    async def work() -> tuple[SubmittedJob, Sequence[Brought]]:
        await submit.check_asker(backends, context)
        async with InputImages(backends, context.member_id) as arrivals:
            brought = await _brought(arrivals, [AttachedFile(image) for image in images])
            return await actions.blend.blend(backends, context, brought, dimensions), brought

    await _announce(interaction, *await defer_if_slow(interaction, work()))


async def _announce(interaction: Interaction, asked: SubmittedJob, brought: Sequence[Brought]) -> None:
    """Answer with the job, and privately with the command that one of its pictures carries."""
    await announce(interaction, asked)
    if asked.fresh:
        await embedded_commands.tell(interaction, [one.texts for one in brought])


async def _brought(arrivals: InputImages, sources: Sequence[File | str]) -> list[Brought]:
    kept = await arrivals.receive(sources)
    return [
        Brought(one.key, one.width, one.height, _name(source)[:LONGEST_NAME], one.texts)
        for one, source in zip(kept, sources, strict=True)
    ]


def _name(source: File | str) -> str:
    if isinstance(source, str):
        # What a link says behind its path may be a key that lets its bearer in.
        return source.partition("?")[0].strip("<> ")
    return source.filename


def _press(pressed: Pressed) -> str:
    return f"{pressed.interaction.user.id}:{pressed.custom_id}"


@on_press("dr")
async def _again(pressed: Pressed) -> None:
    context = context_of(pressed.interaction, _press(pressed))
    work = describe_again(pressed.backends, context, pressed.id)
    await announce(pressed.interaction, await defer_if_slow(pressed.interaction, work))


@on_press("da")
async def _imagine_all(pressed: Pressed) -> None:
    member_id = pressed.interaction.user.id
    work = pressed.backends.database.read(all_prompts, pressed.id, member_id)
    await imagine.imagine(pressed.interaction, await defer_if_slow(pressed.interaction, work))
