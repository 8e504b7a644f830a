"""Sentences in a delivery's place, or beside it: in the progress message, privately, or by direct message."""

from __future__ import annotations

import logging

from bot.delivery.outcomes import Outbox, RetryLater, places
from bot.discord_io import posting
from bot.discord_io.posting import FAILURES, TRANSIENT, OutgoingMessage
from storage.clock import Clock
from storage.tables import Delivery, Job

log = logging.getLogger(__name__)


class Notices:
    """The ways in which a delivery's member hears something."""

    def __init__(self, outbox: Outbox, row: Delivery, clock: Clock) -> None:
        self._outbox, self._row, self._clock = outbox, row, clock

    def in_progress(self, job: Job, sentence: str) -> bool:
        """Put it in the progress's place; False where that cannot be reached.

        Raises:
            Later: it can be in a while.
        """
        self._outbox.board.close(job.id)
        for place in places(job, self._clock):
            try:
                self._outbox.request(posting.edit(self._outbox.client, place, sentence))
            except FAILURES as error:
                if posting.failure(error) in TRANSIENT:
                    raise RetryLater(str(error)) from error
            else:
                return True
        return False

    def privately(self, sentence: str) -> None:
        """As long as it can be said where the delivery was asked for."""
        row = self._row
        if row.interaction_token is None or self._clock.until(row.token_expires_at or 0) <= 0:
            return
        outgoing = OutgoingMessage(sentence, row.member_id)
        work = posting.follow_up(self._outbox.client, row.interaction_token, outgoing, ephemeral=True)
        try:
            self._outbox.request(work)
        except FAILURES as error:
            log.info("job %s: its member could not be told: %s", row.job_id, error)

    def by_direct_message(self, sentence: str) -> None:
        """The last way to say something: by direct message."""
        row, client = self._row, self._outbox.client
        outgoing, nonce = OutgoingMessage(sentence, row.member_id), f"easel:{row.id}:home"
        try:
            channel_id = self._outbox.request(posting.open_dm(client, row.member_id))
            self._outbox.request(posting.post(client, channel_id, None, outgoing, nonce))
        except FAILURES as error:
            log.info("job %s: its member could not be told: %s", row.job_id, error)
