"""A delivery's message, posted at most once though a try may be lost at any moment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NoReturn

from bot.delivery import find_posted
from bot.delivery.find_posted import CannotLook
from bot.delivery.outcomes import ANSWER_MS, FileTooLarge, Outbox, RetryLater, Undeliverable, check
from bot.discord_io import posting
from bot.discord_io.failures import DiscordFailure, Failure
from bot.discord_io.posting import OutgoingMessage, ProgressPlace
from storage import deliveries, tables
from storage.clock import Clock
from storage.deliveries import ANSWER, CHANNEL, TOKEN
from storage.tables import TOKEN_MS, Job

log = logging.getLogger(__name__)

NONCE_MS = 110_000
"""For so long Discord surely knows a nonce again ("a few minutes")."""
INVALID_TRIES = 4


class PerhapsPosted(Exception):
    """An earlier try may have posted the message, and that cannot be seen."""


class NoRoute(Exception):
    """Nothing can be posted where the delivery was asked for."""


class AtMostOncePost:
    """Posts a delivery's message, after a look at what an earlier try may have posted."""

    def __init__(self, outbox: Outbox, row: tables.Delivery, job: Job, clock: Clock) -> None:
        self._outbox, self._row, self._job, self._clock = outbox, row, job, clock
        self.clean = row.attempted_by in (None, ANSWER)
        """No message was made by an earlier try, for sure."""
        self.filled_in = row.attempted_by == ANSWER
        """An earlier try may have put it in the answer's place: there it may be again, but nowhere else."""

    @property
    def nothing_is_there(self) -> bool:
        """True if the next try, too, may take it that none was made before this one."""
        return self.clean and not self.filled_in

    @property
    def stays(self) -> bool:
        """True if what is perhaps there cannot be put away."""
        return not self.clean or (self.filled_in and not self._token_lives())

    def post(self, outgoing: OutgoingMessage, allowed: Callable[[], None] = lambda: None) -> int | None:
        """Post a message unless it is there already; returns its id, None where it was deleted meanwhile.

        `allowed` is called before anything is posted, and raises where it may not be.

        Raises:
            PerhapsPosted, NoRoute: it cannot be posted here.
            FileTooLarge, RetryLater, Undeliverable, DiscordFailure: so this try has ended.
        """
        if outgoing.view is None:
            content = f"{outgoing.content}\n-# {self._row.job_id}-{self._row.id}"
            outgoing = replace(outgoing, content=content)
        found = None if self.clean else self._look(outgoing)
        if found is not None:
            return found
        allowed()
        return self._post(outgoing)

    def _look(self, outgoing: OutgoingMessage) -> int | None:
        """Message that an earlier try has posted, if it has."""
        row, outbox = self._row, self._outbox
        if row.by_token_alone or row.channel_id is None:
            raise PerhapsPosted
        assert row.attempted_at is not None
        since = outbox.read(find_posted.begin, row)
        try:
            found = outbox.request(find_posted.find(outbox.client, row.channel_id, outgoing, since))
        except CannotLook:
            if row.attempted_by == CHANNEL and self._clock.since(row.attempted_at) < NONCE_MS:
                return None
            raise PerhapsPosted from None
        own = outbox.read(deliveries.unknown, found)
        self.clean = not own
        return own[0] if own else None

    def _post(self, outgoing: OutgoingMessage) -> int | None:
        row = self._row
        reasons = []
        for route in self._routes():
            self._outbox.write(deliveries.attempt, row.id, route, tries=row.tries)
            row.attempted_by = route
            try:
                return self._send(route, outgoing)
            except DiscordFailure as failure:
                if failure.kind is Failure.NO_MESSAGE and route != ANSWER:
                    return None
                self._raise_unless_elsewhere(failure)
                reasons.append(str(failure))
        if self.filled_in:
            raise PerhapsPosted
        raise NoRoute("; ".join(reasons) or "the answer's time is over")

    def _routes(self) -> Iterator[str]:
        """The ways in which it may be posted, in the order in which they are tried.

        By the token it is an edit of the answer where it can be one: that may be repeated.
        """
        row = self._row
        by_answer = row.attempted_by == ANSWER
        if not row.by_token_alone and row.channel_id is not None and not by_answer:
            yield CHANNEL
        if row.interaction_token is None or not self._token_lives() or row.kind == deliveries.DIRECT:
            return
        if self._answer() is not None:
            yield ANSWER
        yield TOKEN

    def _answer(self) -> ProgressPlace | None:
        """The answer to the command, where it tells of this job alone and the token reaches it."""
        result = self._row.kind == deliveries.RESULT
        place = ProgressPlace.of(self._job, self._clock) if result else None
        return None if place is None or place.token is None else place

    def _send(self, route: str, outgoing: OutgoingMessage) -> int:
        row, client, request = self._row, self._outbox.client, self._outbox.request
        if route == ANSWER:
            place = self._answer()
            assert place is not None
            self._outbox.board.close(self._job.id)
            return request(posting.fill_in(client, place, outgoing))
        if route == TOKEN:
            assert row.interaction_token is not None
            token = row.interaction_token
            return request(posting.follow_up(client, token, outgoing, ephemeral=row.ephemeral))
        assert row.channel_id is not None
        return request(posting.post(client, row.channel_id, row.guild_id, outgoing, nonce_of(row)))

    def _raise_unless_elsewhere(self, failure: DiscordFailure) -> None:
        """Raise what a failure means for this try, unless another place is to be tried in the same one."""
        match failure.kind:
            case Failure.NO_MESSAGE:
                check(failure, self._job, self._clock, refused=self.nothing_is_there)
                self.filled_in = False
            case Failure.NO_PLACE | Failure.EXPIRED:
                self._raise_unless_clean(failure)
            case Failure.TOO_LARGE:
                raise FileTooLarge
            case Failure.INVALID:
                self._raise_invalid(failure)
            case _:
                raise self._later(failure)

    def _raise_unless_clean(self, failure: DiscordFailure) -> None:
        if failure.knows_no_token and self._token_is_new():
            reason = "the interaction is not answered yet"
            raise RetryLater(reason, ANSWER_MS, refused=self.nothing_is_there) from failure
        if not self.clean:
            raise PerhapsPosted

    def _raise_invalid(self, failure: DiscordFailure) -> NoReturn:
        row = self._row
        log.error("job %s: Discord does not take delivery %s: %s", row.job_id, row.id, failure)
        if row.tries >= INVALID_TRIES:
            raise Undeliverable(str(failure))
        raise self._later(failure)

    def _later(self, failure: DiscordFailure) -> RetryLater:
        seconds = failure.retry_after_s
        delay_ms = None if seconds is None else int(seconds * 1000)
        refused = self.nothing_is_there and failure.kind is not Failure.UNCERTAIN
        return RetryLater(str(failure), delay_ms, refused=refused)

    def _token_lives(self) -> bool:
        return self._clock.until(self._row.token_expires_at or 0) > 0

    def _token_is_new(self) -> bool:
        """True if Discord may not know it yet: what is sent for at once can be quicker than the answer."""
        left = self._clock.until(self._row.token_expires_at or 0)
        return left > TOKEN_MS - posting.ANSWERED_WITHIN_MS


def nonce_of(row: tables.Delivery) -> str:
    """By which Discord knows a delivery's message in a channel again, for a few minutes."""
    return f"easel:{row.id}"
