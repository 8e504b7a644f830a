"""Sentences in a delivery's place, or beside it: in the progress message, privately, or by direct message."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

from bot.delivery.outcomes import Outbox, change_progress, places
from bot.discord_io import posting
from bot.discord_io.failures import DiscordFailure
from bot.discord_io.posting import OutgoingMessage
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
            DiscordFailure: it can be in a while.
        """
        self._outbox.board.close(job.id)
        edit = partial(posting.edit, self._outbox.client, content=sentence)
        return change_progress(self._outbox, places(job, self._clock), edit, _raise_transient)

    def privately(self, sentence: str) -> None:
        """Say it as long as it can be said where the delivery was asked for."""
        row = self._row
        if row.interaction_token is None or self._clock.until(row.token_expires_at or 0) <= 0:
            return
        outgoing = OutgoingMessage(sentence, row.member_id)
        self._try(posting.follow_up(self._outbox.client, row.interaction_token, outgoing, ephemeral=True))

    def by_direct_message(self, sentence: str) -> None:
        """Say it by direct message, the last way to say something."""
        outgoing = OutgoingMessage(sentence, self._row.member_id)
        self._try(posting.post_directly(self._outbox.client, outgoing, f"easel:{self._row.id}:home"))

    def _try(self, request: Coroutine[Any, Any, object]) -> None:
        try:
            self._outbox.request(request)
        except DiscordFailure as failure:
            log.info("job %s: its member could not be told: %s", self._row.job_id, failure)


def _raise_transient(failure: DiscordFailure) -> None:
    if failure.transient:
        raise failure
