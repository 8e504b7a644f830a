"""Search a channel for a message that an earlier try has posted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import discord
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.discord_io.failures import DiscordFailure
from bot.discord_io.posting import OutgoingMessage
from storage.tables import Batch, Delivery, Job, Message

UNKNOWN_MESSAGE = 10008
MARGIN_MS = 60_000
"""A search begins so much before the attempt."""


class CannotLook(Exception):
    """The channel's history is not to be read."""


@dataclass(frozen=True)
class Marks:
    """Signs by which a message is known again: a custom_id and its member's mention, or its last line."""

    member_id: int
    custom_ids: frozenset[str] = frozenset()
    line: str | None = None

    @classmethod
    def of(cls, outgoing: OutgoingMessage) -> Marks:
        """Needs a running event loop, as every view does."""
        if outgoing.view is None:
            return cls(outgoing.member_id, line=outgoing.reference)
        return cls(outgoing.member_id, custom_ids_of(outgoing.view()))

    def are_on(self, message: discord.Message) -> bool:
        if self.line is not None:
            return message.content.endswith(self.line)
        parts = list(_parts(message.components))
        ids = {getattr(part, "custom_id", None) for part in parts}
        texts = [message.content, *(part.content for part in parts if isinstance(part, discord.TextDisplay))]
        return bool(ids & self.custom_ids) and f"<@{self.member_id}>" in "\n".join(texts)


def custom_ids_of(view: discord.ui.View | discord.ui.LayoutView) -> frozenset[str]:
    ids = (getattr(item, "custom_id", None) for item in view.walk_children())
    return frozenset(id_ for id_ in ids if id_ is not None)


def _parts(components: Iterable[object]) -> Iterable[object]:
    """Each component, and all that is in it."""
    for component in components:
        yield component
        yield from _parts(getattr(component, "children", ()))


async def find(
    client: discord.Client, channel_id: int, outgoing: OutgoingMessage, since_ms: int
) -> list[int]:
    """Own messages since a time (epoch milliseconds) that are this one, oldest first.

    Raises:
        CannotLook: without permission to read the channel's history, where "no messages" says nothing.
    """
    return await search(client, channel_id, Marks.of(outgoing), since_ms)


async def search(client: discord.Client, channel_id: int, marks: Marks, since_ms: int) -> list[int]:
    """Own messages since a time (epoch milliseconds) that have these marks, oldest first.

    There are none in a channel that is gone.

    Raises:
        CannotLook: see `find`.
    """
    channel = client.get_partial_messageable(channel_id)
    after = _id_at(since_ms)
    found: list[int] = []
    empty = True
    try:
        async for message in channel.history(after=after, limit=None, oldest_first=True):
            empty = False
            own = client.user is not None and message.author.id == client.user.id
            if own and marks.are_on(message):
                found.append(message.id)
        if empty:
            await _may_read(channel, after)
    except discord.Forbidden as error:
        raise CannotLook from error
    except discord.NotFound as error:
        if not DiscordFailure(error).place_is_gone:
            raise
        return []
    return found


def begin(session: Session, delivery: Delivery) -> int:
    """The time by Discord's clock (epoch milliseconds) from which to look for what a delivery has posted.

    Its attempt is dated by the database's clock, which may be ahead.
    """
    assert delivery.attempted_at is not None
    return delivery.attempted_at - _ahead(session, delivery.job_id) - MARGIN_MS


def _ahead(session: Session, job_id: int) -> int:
    """By how many milliseconds the database's clock is ahead of Discord's, at most; 0 where it is behind.

    What Discord made tells its clock by its id, and was written down afterwards: what was asked for, and the
    newest message.
    """
    job = session.get_one(Job, job_id)
    batch = None if job.batch_id is None else session.get(Batch, job.batch_id)
    newest = session.scalar(select(Message).order_by(Message.id.desc()).limit(1))
    made = [(row.interaction_id, row.created_at) for row in (job, batch) if row is not None]
    if newest is not None:
        made.append((newest.id, newest.created_at))
    return max([0, *(written - _time_of(id_) for id_, written in made if id_ is not None)])


def _time_of(id_: int) -> int:
    return (id_ >> 22) + discord.utils.DISCORD_EPOCH


def _id_at(milliseconds: int) -> discord.Object:
    return discord.Object(max(0, milliseconds - discord.utils.DISCORD_EPOCH) << 22)


async def _may_read(channel: discord.PartialMessageable, anything: discord.Object) -> None:
    """Without the permission a channel's history is empty, but one message is forbidden."""
    try:
        await channel.fetch_message(anything.id)
    except discord.NotFound as error:
        if error.code != UNKNOWN_MESSAGE:
            raise
