"""Originals taken away: ZIP files, a message each."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence

import discord
from discord.utils import MISSING
from sqlalchemy.orm import Session

from bot.components.custom_ids import numbers
from bot.components.history import shown_images
from bot.components.press import Interaction, Pressed, on_press
from bot.components.responses import defer_ephemeral, respond
from bot.discord_io import archives
from bot.discord_io.archives import ArchiveEntry
from bot.discord_io.uploads import MARGIN
from bot.messages import histories as sentences
from storage import members
from storage.backends import Backends
from storage.contract import JobState
from storage.tables import Job, Member

MESSAGES = 4
"""Files sent at once: where only the member installed Easel, Discord takes five messages."""
LARGEST = 24 * 2**20
"""Bytes of a file, however much a server allows: it is made in memory."""

Contents = Callable[[int, int], tuple[str, discord.ui.View | None]]


def room(interaction: Interaction) -> int:
    """Bytes that an archive may have here."""
    return min(interaction.filesize_limit, LARGEST) - MARGIN


async def hand_over(
    interaction: Interaction, groups: Sequence[Sequence[ArchiveEntry]], stem: str, contents: Contents
) -> None:
    """Send each group as a ZIP file in a private message of its own.

    `contents` makes what is said from the group's place, from 0, and how many of its pictures are lost.
    """
    for place, group in enumerate(groups):
        archive = await asyncio.to_thread(archives.pack, group)
        content, view = contents(place, archive.lost)
        files = [discord.File(io.BytesIO(archive.data), f"{stem}_{place + 1}.zip")]
        if place == 0:
            await respond(interaction, content, view=view or MISSING, files=files, ephemeral=True)
        else:
            await interaction.followup.send(content, view=view or MISSING, files=files, ephemeral=True)


def read_originals(
    session: Session, backends: Backends, member_id: int, job_ids: Sequence[int]
) -> list[ArchiveEntry]:
    """The pictures of these jobs, as far as they are the member's or they marked one of them."""
    entries = []
    for job_id in sorted(job_ids):
        job = session.get(Job, job_id)
        if job is None or job.state != JobState.SUCCEEDED or not members.may_take(session, member_id, job):
            continue
        name = session.get_one(Member, job.member_id).name
        images = shown_images(session, job)
        entries += [ArchiveEntry.of_picture(backends.images, job, image, name) for image in images]
    return entries


@on_press("hz")
async def _zip(pressed: Pressed) -> None:
    interaction, backends = pressed.interaction, pressed.backends
    await defer_ephemeral(interaction)
    job_ids = numbers(pressed.values)
    entries = await backends.database.read(read_originals, backends, interaction.user.id, job_ids)
    groups, _ = archives.split(entries, room(interaction))
    if not groups:
        sentence = sentences.none_fits(room(interaction)) if entries else sentences.nothing_to_zip()
        await respond(interaction, sentence, ephemeral=True)
        return
    sent = groups[:MESSAGES]
    fit = sum(map(len, sent))

    def contents(place: int, lost: int) -> tuple[str, None]:
        text = sentences.zipped(place + 1, len(sent), images=len(sent[place]) - lost, lost=lost)
        if place == 0 and fit < len(entries):
            text += f"\n{sentences.not_all_fit(fit, len(entries))}"
        return text, None

    await hand_over(interaction, sent, f"easel_jobs_{min(job_ids)}", contents)
