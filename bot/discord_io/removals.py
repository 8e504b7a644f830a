"""Pictures taken out of the store and their messages out of Discord."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import discord
from sqlalchemy.orm import Session

from bot.discord_io import posting
from bot.discord_io.failures import DiscordFailure, Failure, classified
from bot.discord_io.posting import ProgressPlace
from storage import removals
from storage.backends import Backends
from storage.clock import Clock
from storage.removals import Removed
from storage.tables import Batch, Image, Job, Message

log = logging.getLogger(__name__)


async def remove(
    client: discord.Client, backends: Backends, job_id: int, image_id: int | None = None
) -> list[Message]:
    """Delete a finished job's pictures for good, or one of them, and the messages that show nothing else.

    Returns the messages that could not be deleted at once: `withdrawals` goes on trying.

    Raises:
        NoSuchJob: there is none.
    """
    removed, key = await backends.database.write(_remove, job_id, image_id)
    if key is None:
        await asyncio.to_thread(backends.images.delete_job, job_id)
    else:
        await asyncio.to_thread(backends.images.delete, key)
    await asyncio.to_thread(removed.remains.delete, backends)
    return await delete_messages(client, removed.messages)


def _remove(session: Session, job_id: int, image_id: int | None) -> tuple[Removed, str | None]:
    """The removal, and the key of one picture's file."""
    removed = removals.remove(session, job_id, image_id)
    return removed, None if image_id is None else session.get_one(Image, image_id).key


async def delete_messages(client: discord.Client, messages: Iterable[Message]) -> list[Message]:
    """Try once, and at once, to delete messages whose deliveries are withdrawn; returns those that stay."""
    return [
        message
        for message in messages
        if not await delete_message(
            client, ProgressPlace(None, message.channel_id, message.id), message.job_id
        )
    ]


async def delete_progress(
    client: discord.Client, backends: Backends, under_way: Iterable[Job | Batch]
) -> None:
    """Delete the messages that told of jobs which are no more, as far as Discord lets them go."""
    clock = await backends.database.read(Clock.read)
    for row in under_way:
        place = ProgressPlace.of(row, clock)
        if place is not None:
            await delete_message(client, place, row.id)


async def delete_message(client: discord.Client, place: ProgressPlace, job_id: int) -> bool:
    """Try once to delete a message of a job; True if it is gone now."""
    try:
        with classified():
            await posting.delete(client, place)
    except DiscordFailure as failure:
        log.info("job %s: a message stays: %s", job_id, failure)
        return failure.kind is Failure.NO_MESSAGE
    return True
