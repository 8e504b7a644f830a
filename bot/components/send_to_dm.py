"""✉️: pictures sent to a member's direct messages, with their prompt, job and seed."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import discord
from sqlalchemy.orm import Session

from actions import policy
from bot.components.press import Pressed, on_press
from bot.components.responses import defer_if_slow, respond
from bot.discord_io import uploads
from bot.discord_io.uploads import Upload
from bot.messages import image_actions
from prompts import markdown
from storage import jobs, restrictions
from storage.backends import Backends
from storage.contract import JobState
from storage.errors import NoSuchImage, Refused
from storage.tables import Image, Job, Member

FILE_LIMIT = 10 * 2**20
"""Bytes of a file that Discord takes in direct messages."""
REQUEST_LIMIT = 24 * 2**20
"""Bytes of all files of a message, a little below Discord's limit."""


class ClosedMessages(Refused):
    """The member lets Easel send them nothing."""


class NothingToSend(Refused):
    """The job is not finished, or ended without pictures."""

    def __init__(self, job_id: int, state: JobState) -> None:
        super().__init__(f"job {job_id} is {state}")
        self.job_id, self.state = job_id, state


@dataclass(frozen=True)
class DirectMessage:
    """Pictures to send; `owner` is the name of the job's member, after whom files are named."""

    job: Job
    images: Sequence[Image]
    owner: str

    @classmethod
    def read(
        cls,
        session: Session,
        member_id: int,
        job_id: int,
        image_id: int | None,
        asked_in: int | None,
        *,
        safety: bool,
    ) -> DirectMessage:
        job = jobs.seen(session, job_id, member_id)
        restrictions.check_banned(session, member_id, asked_in)
        wanted = () if image_id is None else (image_id,)
        policy.check_sent_home(session, job, member_id, wanted, safety=safety)
        if job.state != JobState.SUCCEEDED:
            raise NothingToSend(job.id, JobState(job.state))
        images = [image for image in jobs.images_of(session, job_id) if not image.withheld]
        if image_id is not None:
            images = [image for image in images if image.id == image_id]
        if not images:
            raise NoSuchImage(job_id if image_id is None else image_id)
        return cls(job, images, session.get_one(Member, job.member_id).name)


async def send_home(
    client: discord.Client,
    backends: Backends,
    member_id: int,
    job_id: int,
    image_id: int | None = None,
    *,
    asked_in: int | None,
) -> None:
    """Send a job's pictures, or one of them, to a member's direct messages; `asked_in` is a guild.

    Of a grid come the sheet and each picture by itself, and the movie where one was asked for.

    Raises:
        NoSuchJob, NotYours, NoSuchImage, NothingToSend, ClosedMessages, ImageMissing, NotAgeRestricted,
        and what `policy` refuses: nothing was sent.
    """
    safety = backends.config.safety == "on"
    parcel = await backends.database.read(
        DirectMessage.read, member_id, job_id, image_id, asked_in, safety=safety
    )
    packed = await asyncio.to_thread(_pack, backends, parcel)
    files = [discord.File(io.BytesIO(upload.data), upload.name) for upload in packed]
    try:
        channel = await client.create_dm(discord.Object(member_id))
        # With a nonce Discord makes one message of what discord.py sends again after an error.
        said = image_actions.letter_home(parcel.job, parcel.images)
        await channel.send(said, files=files, nonce=secrets.token_hex(12))
    except discord.Forbidden as error:
        raise ClosedMessages from error


def _pack(backends: Backends, parcel: DirectMessage) -> list[Upload]:
    """The files, so small that one message takes them all."""
    job, images = parcel.job, parcel.images
    several = len(images) > 1
    movie = _movie(backends, parcel)
    room = REQUEST_LIMIT - sum(len(upload.data) for upload in movie)
    limit = min(FILE_LIMIT, room // (len(images) + several))
    packed = [uploads.grid(backends, job, images, parcel.owner, limit)] if several else []
    for image in images:
        upload = uploads.single(backends, job, image, parcel.owner, limit)
        packed.append(_numbered(upload, image.index + 1) if several else upload)
    return packed + movie


def _numbered(upload: Upload, number: int) -> Upload:
    name = PurePosixPath(upload.name)
    return replace(upload, name=f"{name.stem}_{number}{name.suffix}")


def _movie(backends: Backends, parcel: DirectMessage) -> list[Upload]:
    job = parcel.job
    if job.movie_key is None:
        return []
    data = backends.images.load(job.movie_key)
    extension = PurePosixPath(job.movie_key).suffix.removeprefix(".")
    name = markdown.file_name(parcel.owner, job.text, job.id, extension)
    return [Upload(name, data)] if len(data) <= FILE_LIMIT else []


@on_press("dm")
async def _send_picture(pressed: Pressed) -> None:
    interaction, backends = pressed.interaction, pressed.backends

    async def work() -> None:
        _, job = await backends.database.read(jobs.image, pressed.id)
        member_id, asked_in = interaction.user.id, interaction.guild_id
        await send_home(interaction.client, backends, member_id, job.id, pressed.id, asked_in=asked_in)

    await defer_if_slow(interaction, work(), ephemeral=True)
    await respond(interaction, image_actions.sent_home(), ephemeral=True)
