"""One delivery: whether it is there already, where it may go, and what is said in its place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NoReturn

from actions import policy
from bot import errors, messages
from bot.delivery import content, find_posted
from bot.delivery.find_posted import CannotLook
from bot.delivery.notices import Notices
from bot.delivery.outcomes import (
    ANSWER_MS,
    FileTooLarge,
    Outbox,
    Redirected,
    RetryLater,
    Undeliverable,
    check,
    places,
    remove_progress,
    sentence,
)
from bot.discord_io import posting
from bot.discord_io.posting import FAILURES, TRANSIENT, Failure, OutgoingMessage, ProgressPlace
from bot.messages import preferences
from storage import deliveries, jobs, tables, takedowns
from storage.clock import Clock
from storage.contract import JobState
from storage.deliveries import ANSWER, CHANNEL, TOKEN
from storage.errors import DataDeleted, Refused, Stale
from storage.tables import TOKEN_MS, Job

log = logging.getLogger(__name__)

NONCE_MS = 110_000
"""For so long Discord surely knows a nonce again ("a few minutes")."""
HELD_UP_MS = 600_000
GIVE_UP_MS = 24 * 3_600_000
TIDY_TRIES = 12
INVALID_TRIES = 4
UNFORESEEN_TRIES = 4
"""After so many errors that nobody foresaw a sentence takes the pictures' place."""
SMALLEST_UPLOAD = 16 * 2**10


class Dispatch:
    """One try at one delivery, on a thread. Raises a DeliveryError, or Stale."""

    def __init__(self, outbox: Outbox, row: tables.Delivery, clock: Clock) -> None:
        self._outbox = outbox
        self._client = outbox.client
        self._request = outbox.request
        self._row = row
        self._clock = clock
        self._notices = Notices(outbox, row, clock)
        self._clean = row.attempted_by in (None, ANSWER)
        """No message was made by an earlier try, for sure."""
        self._filled_in = row.attempted_by == ANSWER
        """An earlier try may have put it in the answer's place: there it may be again, but nowhere else."""

    @property
    def _nothing_is_there(self) -> bool:
        """True if the next try, too, may take it that none was made before this one."""
        return self._clean and not self._filled_in

    def run(self) -> None:
        row = self._row
        job = self._outbox.read(jobs.get, row.job_id)
        withheld = row.kind == deliveries.RESULT and self._outbox.read(takedowns.everywhere, job.id)
        has_images = not withheld and (row.kind == deliveries.SINGLE or job.state == JobState.SUCCEEDED)
        if row.state == "open":
            self._deliver(job, has_images=has_images)
        if has_images and row.kind == deliveries.RESULT and row.attempted_by != ANSWER:
            remove_progress(self._outbox, job, self._clock, patient=row.tries < TIDY_TRIES)
        self._outbox.write(deliveries.done, row.id)

    def _deliver(self, job: Job, *, has_images: bool) -> None:
        if not has_images:
            if not _said_by_batch(job):
                self._say_in_place(job)
            return
        try:
            self._address()
            self._post_pictures()
        except Undeliverable as error:
            if error.refused is not None:
                self._say_refused(job, error.refused)
            else:
                self._point_to_show(job)
                self._say_closed()
            raise

    def _address(self) -> None:
        """Find the channel of a copy for direct messages."""
        row = self._row
        if row.kind != deliveries.DIRECT or row.channel_id is not None:
            return
        self._check_policy()
        try:
            row.channel_id = self._request(posting.open_dm(self._client, row.member_id))
        except FAILURES as error:
            if posting.failure(error) in TRANSIENT:
                raise RetryLater(str(error), refused=self._nothing_is_there) from error
            raise Undeliverable(f"no direct message: {error}") from error
        self._outbox.write(deliveries.set_channel, row.id, row.channel_id)

    def _check_policy(self) -> None:
        """What may not be posted here any more: a result goes to its member, all else to nobody."""
        refused = self._refused_by(policy.check_delivery)
        if refused is None:
            return
        reason = f"{type(refused).__name__}: {refused}"
        # What is perhaps here and cannot be put away must not be there, too.
        stays = not self._clean or (self._filled_in and not self._token_lives())
        if self._row.kind != deliveries.RESULT or stays:
            raise Undeliverable(reason, refused)
        self._elsewhere(reason, refused)

    def _refused_by(self, check_policy: Callable[..., None]) -> Refused | None:
        safety = self._outbox.backends.config.safety == "on"
        try:
            self._outbox.read(check_policy, self._row, safety=safety)
        except DataDeleted:
            raise
        except Refused as refused:
            return refused
        return None

    def _say_refused(self, job: Job, refused: Refused) -> None:
        """Why it may not be posted: of a result in the progress's place, of what was pressed for privately.

        Of a copy nothing: the result itself is posted, or told of.
        """
        if self._row.kind == deliveries.RESULT:
            said = messages.may_not_be_posted(job, errors.why_not_posted(refused, to_all=True))
            if not self._notices.in_progress(job, said):
                self._notices.by_direct_message(said)
        elif self._row.kind != deliveries.DIRECT:
            self._notices.privately(errors.why_not_posted(refused, to_all=False))

    def _say_closed(self) -> None:
        """That a copy cannot be sent, privately and as long as it can be said where the job was asked for."""
        if self._row.kind == deliveries.DIRECT:
            self._notices.privately(preferences.closed_messages())

    def _token_lives(self) -> bool:
        return self._clock.until(self._row.token_expires_at or 0) > 0

    def _token_is_new(self) -> bool:
        """True if Discord may not know it yet: what is sent for at once can be quicker than the answer."""
        left = self._clock.until(self._row.token_expires_at or 0)
        return left > TOKEN_MS - posting.ANSWERED_WITHIN_MS

    def _post_pictures(self) -> None:
        row = self._row
        contents = self._outbox.read(content.read, row)
        outgoing, message_id = self._post_fitting(contents)
        if message_id is None:
            return
        if outgoing.view is None or row.channel_id is None:
            self._note(deliveries.told, message_id)
            return
        image_id = contents.images[0].id if len(contents.images) == 1 else None
        message = tables.Message(
            id=message_id,
            channel_id=row.channel_id,
            guild_id=row.guild_id,
            job_id=row.job_id,
            image_id=image_id,
            ephemeral=row.ephemeral,
        )
        self._note(deliveries.posted, message)

    def _post_fitting(self, contents: content.Contents) -> tuple[OutgoingMessage, int | None]:
        """Post the pictures, or the words, as large as Discord takes them here."""
        limit = self._row.upload_limit
        while True:
            outgoing = self._outgoing(contents, limit)
            try:
                return outgoing, self._post(outgoing, contents.job, allowed=self._check_policy)
            except FileTooLarge:
                limit = 0 if outgoing.upload is None else len(outgoing.upload.data) // 2
                if limit < SMALLEST_UPLOAD:
                    raise Undeliverable("no file is small enough for this channel") from None

    def _outgoing(self, contents: content.Contents, limit: int) -> OutgoingMessage:
        row = self._row
        if row.failures >= UNFORESEEN_TRIES:
            return OutgoingMessage(messages.pictures_damaged(contents.job), row.member_id)
        return content.pictures(self._outbox.backends, row, contents, limit)

    def _note(self, note: Callable[..., str], message: object) -> None:
        """Write down at once what was posted.

        Raises:
            Stale: it is somebody else's to tidy up.
        """
        if self._outbox.write(note, self._row.id, message) != "posted":
            raise Stale

    def _post(
        self, outgoing: OutgoingMessage, job: Job, *, allowed: Callable[[], None] = lambda: None
    ) -> int | None:
        """Post a letter unless it is there already; returns its id, None where it was deleted meanwhile.

        `allowed` is called before anything is posted, and raises where it may not be.
        """
        row = self._row
        if outgoing.view is None:
            outgoing = replace(outgoing, content=f"{outgoing.content}\n-# {row.job_id}-{row.id}")
        found = None if self._clean else self._look(outgoing, job)
        if found is not None:
            return found
        allowed()
        reasons = []
        for route in self._routes(job):
            self._outbox.write(deliveries.attempt, row.id, route, tries=row.tries)
            row.attempted_by = route
            try:
                return self._send(route, outgoing, job)
            except FAILURES as error:
                problem = posting.failure(error)
                if problem is Failure.NO_MESSAGE and route != ANSWER:
                    return None
                self._may_be_elsewhere(problem, error, job)
                reasons.append(str(error))
        if self._filled_in:
            self._cannot_tell(job)
        return self._elsewhere("; ".join(reasons) or "the answer's time is over")

    def _may_be_elsewhere(self, problem: Failure, error: BaseException, job: Job) -> None:
        """Raise what a failure means for this try, unless another place is to be tried in the same one."""
        if problem is Failure.NO_MESSAGE:
            check(error, job, self._clock, refused=self._nothing_is_there)
            self._filled_in = False
        elif problem not in (Failure.NO_PLACE, Failure.EXPIRED):
            self._wait(problem, error)
        elif posting.knows_no_token(error) and self._token_is_new():
            raise RetryLater(
                "the interaction is not answered yet", ANSWER_MS, refused=self._nothing_is_there
            ) from error
        elif not self._clean:
            self._cannot_tell(job)

    def _routes(self, job: Job) -> Iterator[str]:
        """The ways in which it may be posted, in the order in which they are tried.

        By the token it is an edit of the answer where it can be one: that may be repeated.
        """
        row = self._row
        by_answer = row.attempted_by == ANSWER
        if not row.by_token_alone and row.channel_id is not None and not by_answer:
            yield CHANNEL
        if row.interaction_token is None or not self._token_lives() or row.kind == deliveries.DIRECT:
            return
        if self._answer(job) is not None:
            yield ANSWER
        yield TOKEN

    def _answer(self, job: Job) -> ProgressPlace | None:
        """The answer to the command, where it tells of this job alone and the token reaches it."""
        place = ProgressPlace.of(job, self._clock) if self._row.kind == deliveries.RESULT else None
        return None if place is None or place.token is None else place

    def _send(self, route: str, outgoing: OutgoingMessage, job: Job) -> int:
        row = self._row
        if route == ANSWER:
            place = self._answer(job)
            assert place is not None
            self._outbox.board.close(job.id)
            return self._request(posting.fill_in(self._client, place, outgoing))
        if route == TOKEN:
            assert row.interaction_token is not None
            new = posting.follow_up(self._client, row.interaction_token, outgoing, ephemeral=row.ephemeral)
            return self._request(new)
        assert row.channel_id is not None
        nonce = nonce_of(row)
        try:
            return self._request(posting.post(self._client, row.channel_id, row.guild_id, outgoing, nonce))
        except FAILURES as error:
            if posting.failure(error) is not Failure.NO_REPLY:
                raise
        alone = replace(outgoing, reply_to=None)
        return self._request(posting.post(self._client, row.channel_id, row.guild_id, alone, nonce))

    def _wait(self, problem: Failure, error: BaseException) -> NoReturn:
        """What a failure at the right place means for this try."""
        if problem is Failure.TOO_LARGE:
            raise FileTooLarge
        if problem is Failure.INVALID:
            log.error("job %s: Discord does not take delivery %s: %s", self._row.job_id, self._row.id, error)
            if self._row.tries >= INVALID_TRIES:
                raise Undeliverable(str(error))
        retry_after = getattr(error, "retry_after", None)
        delay_ms = None if retry_after is None else int(retry_after * 1000)
        refused = self._nothing_is_there and problem is not Failure.UNCERTAIN
        raise RetryLater(str(error), delay_ms, refused=refused)

    def _look(self, outgoing: OutgoingMessage, job: Job) -> int | None:
        """Message that an earlier try has posted, if it has."""
        row = self._row
        if row.by_token_alone or row.channel_id is None:
            self._cannot_tell(job)
        assert row.attempted_at is not None
        since = self._outbox.read(find_posted.begin, row)
        try:
            found = self._request(find_posted.find(self._client, row.channel_id, outgoing, since))
        except CannotLook:
            if row.attempted_by == CHANNEL and self._clock.since(row.attempted_at) < NONCE_MS:
                return None
            self._cannot_tell(job)
        except FAILURES as error:
            if posting.failure(error) is not Failure.NO_PLACE:
                raise RetryLater(str(error)) from error
            found = []
        own = self._outbox.read(deliveries.unknown, found)
        self._clean = not own
        return own[0] if own else None

    def _cannot_tell(self, job: Job) -> NoReturn:
        """True if an earlier try posted it is not to be known: rather say so than post it twice."""
        row = self._row
        log.warning("job %s: delivery %s may be posted already, and that cannot be seen", job.id, row.id)
        if self._point_to_show(job):
            raise Undeliverable("perhaps posted; the member was told how to see it")
        if self._filled_in:
            self._notices.by_direct_message(messages.not_posted(job))
            raise Undeliverable("perhaps posted in the answer, which is out of reach by now")
        if row.attempted_by == TOKEN:
            self._notices.privately(messages.not_posted(job))
            raise Undeliverable("perhaps posted, and that is not to be seen")
        if self._clock.since(row.created_at) > GIVE_UP_MS:
            raise Undeliverable("perhaps posted, and the channel's history cannot be read")
        raise RetryLater("perhaps posted; the channel's history cannot be read", HELD_UP_MS)

    def _point_to_show(self, job: Job) -> bool:
        """Say in place of the progress how the pictures are to be seen; False where that cannot be said."""
        result = self._row.kind == deliveries.RESULT
        return result and self._notices.in_progress(job, messages.not_posted(job))

    def _elsewhere(self, reason: str, refused: Refused | None = None) -> NoReturn:
        """Nothing can, or may, be posted where it was asked for: once, to the member's direct messages."""
        row = self._row
        if row.guild_id is None and not row.user_install:
            raise Undeliverable(reason, refused)
        if self._refused_by(policy.check_redirected) is not None:
            raise Undeliverable(reason, refused)
        if row.kind == deliveries.RESULT and self._has_copy():
            raise Undeliverable(f"{reason}; its copy goes to direct messages", refused)
        try:
            channel_id = self._request(posting.open_dm(self._client, row.member_id))
        except FAILURES as error:
            if posting.failure(error) in TRANSIENT:
                raise RetryLater(str(error), refused=self._nothing_is_there) from error
            raise Undeliverable(f"{reason}; and no direct message: {error}", refused) from error
        self._outbox.write(deliveries.redirect, row.id, channel_id)
        raise Redirected(reason)

    def _has_copy(self) -> bool:
        return self._outbox.read(deliveries.has_copy, self._row.job_id)

    def _say_in_place(self, job: Job) -> None:
        """The sentence why there are no pictures, where the progress was shown, or else as a message."""
        said = sentence(self._outbox, job)
        self._outbox.board.close(job.id)
        keep_files = job.state == JobState.CANCELLED and self._outbox.read(policy.may_show, job)
        for place in places(job, self._clock) if self._clean else ():
            try:
                self._request(posting.edit(self._client, place, said, keep_files=keep_files))
            except FAILURES as error:
                check(error, job, self._clock, refused=self._nothing_is_there)
            else:
                return
        message_id = self._post(OutgoingMessage(said, job.member_id), job)
        if message_id is not None:
            self._note(deliveries.told, message_id)


def nonce_of(row: tables.Delivery) -> str:
    """By which Discord knows a delivery's message in a channel again, for a few minutes."""
    return f"easel:{row.id}"


def _said_by_batch(job: Job) -> bool:
    """Of those of its jobs that were stopped, a batch's own message says enough."""
    return job.batch_id is not None and job.state == JobState.CANCELLED
