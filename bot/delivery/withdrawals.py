"""Pictures that were taken away while they were delivered: their messages are found and deleted."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import discord
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import components
from bot.delivery import find_posted
from bot.delivery.at_most_once import NONCE_MS, nonce_of
from bot.delivery.attempt import GIVE_UP_MS, HELD_UP_MS, TIDY_TRIES
from bot.delivery.find_posted import CannotLook, Marks
from bot.delivery.outcomes import Outbox, RetryLater, remove_progress, strip_progress
from bot.discord_io import posting
from bot.discord_io.failures import DiscordFailure, Failure
from bot.discord_io.posting import OutgoingMessage, ProgressPlace
from storage import deliveries, tables
from storage.clock import Clock
from storage.contract import Action, JobState
from storage.deliveries import ANSWER, CHANNEL, Used
from storage.tables import Image, Job

log = logging.getLogger(__name__)

HELD_UP_TRIES = GIVE_UP_MS // HELD_UP_MS
"""Tries where Discord lets nobody delete: a permission may come back."""
UNUSED = Used()


class Withdrawal:
    """One try at it, on a thread. Raises RetryLater, DiscordFailure."""

    def __init__(self, outbox: Outbox, row: tables.Delivery, clock: Clock) -> None:
        self._outbox, self._row, self._clock = outbox, row, clock

    def run(self) -> None:
        row, outbox = self._row, self._outbox
        job, images = outbox.read(_drawn, row.job_id)
        patient = row.tries < TIDY_TRIES
        if job.state == JobState.SUCCEEDED:
            for message_id in self._posted(job, images):
                self._delete(message_id)
            if row.kind == deliveries.RESULT:
                # An edit of the answer is gone with it.
                remove_progress(outbox, job, self._clock, patient=patient)
        elif row.kind == deliveries.RESULT:
            # Its preview is all there is.
            strip_progress(outbox, job, self._clock, patient=patient)
        outbox.write(deliveries.withdrawn, row.id)

    def _posted(self, job: Job, images: Sequence[Image]) -> Sequence[int]:
        """The messages that the delivery has made, as far as they can be found."""
        row = self._row
        if row.message_id is not None:
            return [row.message_id]
        if row.attempted_at is None or row.attempted_by == ANSWER:
            return []
        if row.by_token_alone or row.channel_id is None or job.deleted_at is not None:
            log.warning("job %s: what delivery %s has perhaps posted cannot be found", job.id, row.id)
            return []
        since = self._outbox.read(find_posted.begin, row)
        try:
            found = self._outbox.request(_search(self._outbox.client, row, job, images, since))
        except CannotLook:
            if row.attempted_by == CHANNEL and self._clock.since(row.attempted_at) < NONCE_MS:
                return [self._by_nonce(row.channel_id)]
            self._held_up("the channel's history cannot be read")
            log.warning("job %s: what delivery %s has perhaps posted may not be looked for", job.id, row.id)
            return []
        return self._outbox.read(deliveries.unknown, found)

    def _by_nonce(self, channel_id: int) -> int:
        """The message of an attempt whose nonce Discord still knows; where there is none, another."""
        row, client = self._row, self._outbox.client
        outgoing = OutgoingMessage("…", row.member_id)
        return self._outbox.request(posting.post(client, channel_id, row.guild_id, outgoing, nonce_of(row)))

    def _delete(self, message_id: int) -> None:
        row = self._row
        ways = (
            [ProgressPlace(None, row.channel_id, message_id)]
            if row.channel_id and not row.by_token_alone
            else []
        )
        if row.interaction_token is not None and self._clock.until(row.token_expires_at or 0) > 0:
            ways.append(ProgressPlace(row.interaction_token, message_id=message_id))
        refused: str | None = None
        for place in ways:
            try:
                self._outbox.request(posting.delete(self._outbox.client, place))
            except DiscordFailure as failure:
                if failure.transient:
                    raise
                if failure.kind is Failure.NO_MESSAGE or failure.place_is_gone:
                    return
                refused = refused or (str(failure) if place.token is None else None)
            else:
                return
        if refused is not None:
            self._held_up(refused)
        log.warning("job %s: message %s stays, though its pictures were taken away", row.job_id, message_id)

    def _held_up(self, reason: str) -> None:
        """Raise RetryLater for about a day; its tries count from when the pictures were taken away."""
        if self._row.tries < HELD_UP_TRIES:
            raise RetryLater(reason, HELD_UP_MS)


def _drawn(session: Session, job_id: int) -> tuple[Job, list[Image]]:
    """A job and its pictures, those included that were deleted."""
    images = session.scalars(select(Image).where(Image.job_id == job_id).order_by(Image.index))
    return session.get_one(Job, job_id), list(images)


async def _search(
    client: discord.Client, row: tables.Delivery, job: Job, images: Sequence[Image], since: int
) -> list[int]:
    assert row.channel_id is not None
    marks = Marks(row.member_id, _custom_ids(row, job, images))
    return await find_posted.search(client, row.channel_id, marks, since)


def _custom_ids(row: tables.Delivery, job: Job, images: Sequence[Image]) -> frozenset[str]:
    """The buttons below whatever a delivery shows, be it one picture by now or still all of them."""
    shown = [image for image in images if row.image_id in (None, image.id)]
    made: list[discord.ui.View | discord.ui.LayoutView]
    made = [components.single(image, job, frozenset(), favorite=False) for image in shown]
    if job.action == Action.SHORTEN:
        made.append(components.shortened(job, {}, ""))
    elif job.action == Action.DESCRIBE:
        made.append(components.described(job, {}))
    elif row.image_id is None:
        made.append(components.grid(job, shown, UNUSED))
    return frozenset().union(*(find_posted.custom_ids_of(view) for view in made))
