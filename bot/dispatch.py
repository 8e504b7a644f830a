"""One delivery: whether it is there already, where it may go, and what is said in its place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import discord

from bot import letters, messages, policy, posting
from bot.messages import preferences
from bot.posting import FAILURES, TRANSIENT, CannotLook, Failure, Letter, Place
from bot.progress import ProgressBoard
from storage import deliveries, jobs, tables
from storage.backends import Backends
from storage.contract import JobState
from storage.errors import DataDeleted, Refused
from storage.tables import Job

log = logging.getLogger(__name__)

T = TypeVar("T")

NONCE_MS = 110_000
"""For so long Discord surely knows a nonce again ("a few minutes")."""
CLOCK_MARGIN_MS = 60_000
"""How far the database's clock may be from Discord's, in a search for what was posted."""
HELD_UP_MS = 600_000
GIVE_UP_MS = 24 * 3_600_000
ANSWER_MS = 1_000
TIDY_TRIES = 12
INVALID_TRIES = 4
SMALLEST_UPLOAD = 16 * 2**10


class Later(Exception):
    """To be tried again; `refused` where Discord surely posted nothing."""

    def __init__(self, reason: str, delay_ms: int | None = None, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.delay_ms = delay_ms
        self.refused = refused


class Undeliverable(Exception):
    """There is no place where this can be posted."""


class Redirected(Exception):
    """It goes to the member's direct messages from now on."""


class TooLarge(Exception):
    """Discord takes no file of this size here."""


class Request(Protocol):
    def __call__(self, work: Coroutine[Any, Any, T], /) -> T:
        """Await a request to Discord, from a thread."""


@dataclass(frozen=True)
class Outbox:
    """What a delivery needs to be sent."""

    client: discord.Client
    backends: Backends
    board: ProgressBoard
    request: Request


class Dispatch:
    """One try at one delivery, on a thread. Raises Later, Redirected, Undeliverable or Stale."""

    def __init__(self, outbox: Outbox, row: tables.Delivery) -> None:
        self._outbox = outbox
        self._client = outbox.client
        self._request = outbox.request
        self._row = row
        self._clean = row.attempted_at is None
        """Nothing was posted by an earlier try, for sure."""

    def run(self) -> None:
        row = self._row
        with self._outbox.backends.database.reading() as session:
            job = jobs.get(session, row.job_id)
        has_pictures = row.kind == deliveries.SINGLE or job.state == JobState.SUCCEEDED
        if row.message_id is None and has_pictures:
            try:
                self._address()
                self._check_policy()
                self._post_pictures()
            except Undeliverable:
                self._point_to_show(job)
                self._say_closed()
                raise
        elif row.message_id is None and not _said_by_batch(job):
            self._say_in_place(job)
        if has_pictures and row.kind == deliveries.RESULT:
            self._remove_progress(job)
        self._write(deliveries.done, row.id)

    def _write(self, change: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        with self._outbox.backends.database.writing() as session:
            change(session, *args, **kwargs)

    def _address(self) -> None:
        """Find the channel of a copy for direct messages."""
        row = self._row
        if row.kind != deliveries.DIRECT or row.channel_id is not None:
            return
        try:
            row.channel_id = self._request(posting.open_dm(self._client, row.member_id))
        except FAILURES as error:
            if posting.failure(error) in TRANSIENT:
                raise Later(str(error), refused=self._clean) from error
            raise Undeliverable(f"no direct message: {error}") from error
        self._write(deliveries.set_channel, row.id, row.channel_id)

    def _check_policy(self) -> None:
        """What may not be posted here any more: a result goes to its member, all else to nobody."""
        if self._row.attempted_at is not None:
            return
        backends = self._outbox.backends
        try:
            with backends.database.reading() as session:
                policy.check_delivery(session, self._row, safety=backends.config.safety == "on")
        except DataDeleted:
            raise
        except Refused as refused:
            reason = f"{type(refused).__name__}: {refused}"
            if self._row.kind != deliveries.RESULT:
                raise Undeliverable(reason) from refused
            raise self._elsewhere(reason) from refused

    def _say_closed(self) -> None:
        """That a copy cannot be sent, privately and as long as it can be said where the job was asked for."""
        row = self._row
        if row.kind != deliveries.DIRECT or row.interaction_token is None or not self._token_lives():
            return
        letter = Letter(preferences.closed_messages(), row.member_id)
        try:
            self._request(posting.follow_up(self._client, row.interaction_token, letter, ephemeral=True))
        except FAILURES as error:
            log.info("job %s: its member could not be told of closed messages: %s", row.job_id, error)

    def _token_lives(self) -> bool:
        return time.time() * 1000 < (self._row.token_expires_at or 0)

    def _token_is_new(self) -> bool:
        """Whether Discord may not know it yet: what is sent for at once can be quicker than the answer."""
        born = (self._row.token_expires_at or 0) - posting.TOKEN_MS
        return time.time() * 1000 - born < posting.ANSWERED_WITHIN_S * 1000

    def _post_pictures(self) -> None:
        row = self._row
        with self._outbox.backends.database.reading() as session:
            contents = letters.read(session, row)
        limit = row.upload_limit
        letter, message_id = None, None
        while letter is None:
            letter = letters.pictures(self._outbox.backends, row, contents, limit)
            try:
                message_id = self._post(letter, contents.job)
            except TooLarge:
                limit = 0 if letter.upload is None else len(letter.upload.data) // 2
                letter = None
                if limit < SMALLEST_UPLOAD:
                    raise Undeliverable("no file is small enough for this channel") from None
        if message_id is None or letter.view is None or row.channel_id is None or row.ephemeral:
            return
        image_id = contents.images[0].id if len(contents.images) == 1 else None
        message = tables.Message(
            id=message_id,
            channel_id=row.channel_id,
            guild_id=row.guild_id,
            job_id=row.job_id,
            image_id=image_id,
        )
        self._write(deliveries.posted, row.id, message)

    def _post(self, letter: Letter, job: Job) -> int | None:
        """Post a letter unless it is there already; returns its id, None where it was deleted meanwhile."""
        found = None if self._row.attempted_at is None else self._look(letter, job)
        if found is not None:
            return found
        self._write(deliveries.attempt, self._row.id, tries=self._row.tries)
        reasons = []
        for route in self._routes():
            try:
                return self._send(route, letter)
            except FAILURES as error:
                problem = posting.failure(error)
                if problem is Failure.NO_MESSAGE:
                    return None
                if problem not in (Failure.NO_PLACE, Failure.EXPIRED):
                    raise self._wait(problem, error) from error
                if posting.knows_no_token(error) and self._token_is_new():
                    raise Later(
                        "the interaction is not answered yet", ANSWER_MS, refused=self._clean
                    ) from error
                reasons.append(str(error))
        raise self._elsewhere("; ".join(reasons) or "the answer's time is over")

    def _routes(self) -> Iterator[str | None]:
        """Tokens, or None for the channel itself, in the order in which they are tried."""
        row = self._row
        if not row.by_token_alone and row.channel_id is not None:
            yield None
        if row.interaction_token is not None and self._token_lives() and row.kind != deliveries.DIRECT:
            yield row.interaction_token

    def _send(self, token: str | None, letter: Letter) -> int:
        row = self._row
        if token is not None:
            return self._request(posting.follow_up(self._client, token, letter, ephemeral=row.ephemeral))
        assert row.channel_id is not None
        nonce = f"easel:{row.id}"
        try:
            return self._request(posting.post(self._client, row.channel_id, row.guild_id, letter, nonce))
        except FAILURES as error:
            if posting.failure(error) is not Failure.NO_REPLY:
                raise
        alone = replace(letter, reply_to=None)
        return self._request(posting.post(self._client, row.channel_id, row.guild_id, alone, nonce))

    def _wait(self, problem: Failure, error: BaseException) -> Exception:
        """What a failure at the right place means for this try."""
        if problem is Failure.TOO_LARGE:
            return TooLarge()
        if problem is Failure.INVALID:
            log.error("job %s: Discord does not take delivery %s: %s", self._row.job_id, self._row.id, error)
            if self._row.tries >= INVALID_TRIES:
                return Undeliverable(str(error))
        retry_after = getattr(error, "retry_after", None)
        delay_ms = None if retry_after is None else int(retry_after * 1000)
        return Later(str(error), delay_ms, refused=self._clean and problem is not Failure.UNCERTAIN)

    def _look(self, letter: Letter, job: Job) -> int | None:
        """What an earlier try has posted, if it has."""
        row = self._row
        assert row.attempted_at is not None
        if row.by_token_alone or row.channel_id is None:
            raise self._cannot_tell(job)
        since = row.attempted_at - CLOCK_MARGIN_MS
        try:
            found = self._request(posting.find(self._client, row.channel_id, letter, since))
        except CannotLook:
            if time.time() * 1000 - row.attempted_at < NONCE_MS:
                return None
            raise self._cannot_tell(job) from None
        except FAILURES as error:
            if posting.failure(error) is not Failure.NO_PLACE:
                raise Later(str(error)) from error
            found = []
        with self._outbox.backends.database.reading() as session:
            own = [id_ for id_ in found if deliveries.shown(session, id_) is None]
        self._clean = not own
        return own[0] if own else None

    def _cannot_tell(self, job: Job) -> Exception:
        """Whether an earlier try posted it is not to be known: rather say so than post it twice."""
        row = self._row
        log.warning("job %s: delivery %s may be posted already, and that cannot be seen", job.id, row.id)
        if self._point_to_show(job):
            return Undeliverable("perhaps posted; the member was told how to see it")
        if time.time() * 1000 - row.created_at > GIVE_UP_MS:
            return Undeliverable("perhaps posted, and the channel's history cannot be read")
        return Later("perhaps posted; the channel's history cannot be read", HELD_UP_MS)

    def _point_to_show(self, job: Job) -> bool:
        """Say in place of the progress how the pictures are to be seen; False where that cannot be said."""
        if self._row.kind != deliveries.RESULT:
            return False
        self._outbox.board.close(job.id)
        for place in _places(job):
            try:
                self._request(posting.edit(self._client, place, messages.not_posted(job)))
            except FAILURES as error:
                if posting.failure(error) in TRANSIENT:
                    raise Later(str(error)) from error
            else:
                return True
        return False

    def _elsewhere(self, reason: str) -> Exception:
        """Nothing can be posted where it was asked for: once, to the member's direct messages."""
        row = self._row
        if row.guild_id is None and not row.user_install:
            return Undeliverable(reason)
        if row.kind == deliveries.RESULT and self._has_copy():
            return Undeliverable(f"{reason}; its copy goes to direct messages")
        try:
            channel_id = self._request(posting.open_dm(self._client, row.member_id))
        except FAILURES as error:
            if posting.failure(error) in TRANSIENT:
                return Later(str(error), refused=self._clean)
            return Undeliverable(f"{reason}; and no direct message: {error}")
        self._write(deliveries.redirect, row.id, channel_id)
        return Redirected(reason)

    def _has_copy(self) -> bool:
        with self._outbox.backends.database.reading() as session:
            return deliveries.has_copy(session, self._row.job_id)

    def _say_in_place(self, job: Job) -> None:
        """The sentence why there are no pictures, where the progress was shown, or else as a message."""
        sentence = messages.without_pictures(job)
        self._outbox.board.close(job.id)
        stopped = job.state == JobState.CANCELLED
        for place in _places(job) if self._row.attempted_at is None else ():
            try:
                self._request(posting.edit(self._client, place, sentence, keep_files=stopped))
            except FAILURES as error:
                self._check(error, job)
            else:
                return
        self._post(Letter(sentence, job.member_id), job)

    def _remove_progress(self, job: Job) -> None:
        self._outbox.board.close(job.id)
        for place in _places(job):
            try:
                self._request(posting.delete(self._client, place))
            except FAILURES as error:
                if self._row.tries < TIDY_TRIES:
                    self._check(error, job)
            else:
                return

    @staticmethod
    def _check(error: BaseException, job: Job) -> None:
        """Raise Later where the progress message can be reached in a while."""
        problem = posting.failure(error)
        if problem in TRANSIENT:
            raise Later(str(error), refused=True) from error
        answered = job.progress_message_id is not None
        if not answered and time.time() - job.created_at / 1000 < posting.ANSWERED_WITHIN_S:
            raise Later("the command is not answered yet", ANSWER_MS, refused=True)


def _said_by_batch(job: Job) -> bool:
    """Of those of its jobs that were stopped, a batch's own message says enough."""
    return job.batch_id is not None and job.state == JobState.CANCELLED


def _places(job: Job) -> list[Place]:
    """Where the progress message can be reached, best first."""
    places = [Place.of(job), Place.in_channel(job)]
    return list(dict.fromkeys(place for place in places if place is not None))
