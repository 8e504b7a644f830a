"""One delivery: where it may go, and what is said in its place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from actions import policy
from bot import errors, messages
from bot.delivery import content
from bot.delivery.at_most_once import AtMostOncePost, NoRoute, PerhapsPosted
from bot.delivery.notices import Notices
from bot.delivery.outcomes import (
    FileTooLarge,
    Outbox,
    Redirected,
    RetryLater,
    Undeliverable,
    change_progress,
    check,
    places,
    remove_progress,
    sentence,
)
from bot.discord_io import posting
from bot.discord_io.failures import DiscordFailure
from bot.discord_io.posting import OutgoingMessage
from bot.messages import preferences
from storage import deliveries, jobs, tables, takedowns
from storage.clock import Clock
from storage.contract import JobState
from storage.deliveries import ANSWER, TOKEN
from storage.errors import DataDeleted, Refused, Stale
from storage.tables import Job

log = logging.getLogger(__name__)

HELD_UP_MS = 600_000
GIVE_UP_MS = 24 * 3_600_000
TIDY_TRIES = 12
UNFORESEEN_TRIES = 4
"""After so many errors that nobody foresaw a sentence takes the pictures' place."""
SMALLEST_UPLOAD = 16 * 2**10


class Dispatch:
    """One try at one delivery, on a thread. Raises a DeliveryError, DiscordFailure, or Stale."""

    def __init__(self, outbox: Outbox, row: tables.Delivery, clock: Clock) -> None:
        self._outbox = outbox
        self._row = row
        self._clock = clock
        self._job = outbox.read(jobs.get, row.job_id)
        self._notices = Notices(outbox, row, clock)
        self._once = AtMostOncePost(outbox, row, self._job, clock)

    def run(self) -> None:
        row, job = self._row, self._job
        withheld = row.kind == deliveries.RESULT and self._outbox.read(takedowns.everywhere, job.id)
        has_images = not withheld and (row.kind == deliveries.SINGLE or job.state == JobState.SUCCEEDED)
        if row.state == "open":
            self._deliver(has_images=has_images)
        if has_images and row.kind == deliveries.RESULT and row.attempted_by != ANSWER:
            remove_progress(self._outbox, job, self._clock, patient=row.tries < TIDY_TRIES)
        self._outbox.write(deliveries.done, row.id)

    def _deliver(self, *, has_images: bool) -> None:
        if not has_images:
            if not _said_by_batch(self._job):
                self._say_in_place()
            return
        try:
            self._address()
            self._post_pictures()
        except Undeliverable as error:
            if error.refused is not None:
                self._say_refused(error.refused)
            else:
                self._point_to_show()
                self._say_closed()
            raise

    def _address(self) -> None:
        """Find the channel of a copy for direct messages."""
        row = self._row
        if row.kind != deliveries.DIRECT or row.channel_id is not None:
            return
        self._check_policy()
        row.channel_id = self._open_dm("no direct message")
        self._outbox.write(deliveries.set_channel, row.id, row.channel_id)

    def _open_dm(self, reason: str, refused: Refused | None = None) -> int:
        try:
            return self._outbox.request(posting.open_dm(self._outbox.client, self._row.member_id))
        except DiscordFailure as failure:
            if failure.transient:
                raise RetryLater(str(failure), refused=self._once.nothing_is_there) from failure
            raise Undeliverable(f"{reason}: {failure}", refused) from failure

    def _check_policy(self) -> None:
        """Send what may not be posted here any more elsewhere: a result to its member, all else to nobody."""
        refused = self._refused_by(policy.check_delivery)
        if refused is None:
            return
        reason = f"{type(refused).__name__}: {refused}"
        # What is perhaps here and cannot be put away must not be there, too.
        if self._row.kind != deliveries.RESULT or self._once.stays:
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

    def _say_refused(self, refused: Refused) -> None:
        """Say why it may not be posted: in a result's progress message, of what was pressed for privately.

        Of a copy nothing: the result itself is posted, or told of.
        """
        if self._row.kind == deliveries.RESULT:
            reason = errors.why_not_posted(refused, to_all=True)
            said = messages.may_not_be_posted(self._job, reason)
            if not self._notices.in_progress(self._job, said):
                self._notices.by_direct_message(said)
        elif self._row.kind != deliveries.DIRECT:
            self._notices.privately(errors.why_not_posted(refused, to_all=False))

    def _say_closed(self) -> None:
        """Say that a copy cannot be sent, privately and while it can be said where the job was asked for."""
        if self._row.kind == deliveries.DIRECT:
            self._notices.privately(preferences.closed_messages())

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
                return outgoing, self._post(outgoing, self._check_policy)
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

    def _post(self, outgoing: OutgoingMessage, allowed: Callable[[], None] = lambda: None) -> int | None:
        """Post a message; returns its id, None where it was deleted meanwhile."""
        try:
            return self._once.post(outgoing, allowed)
        except PerhapsPosted:
            self._cannot_tell()
        except NoRoute as reason:
            self._elsewhere(str(reason))

    def _cannot_tell(self) -> NoReturn:
        """Say that an earlier try may have posted it, rather than post it twice."""
        row, job = self._row, self._job
        log.warning("job %s: delivery %s may be posted already, and that cannot be seen", job.id, row.id)
        if self._point_to_show():
            raise Undeliverable("perhaps posted; the member was told how to see it")
        if self._once.filled_in:
            self._notices.by_direct_message(messages.not_posted(job))
            raise Undeliverable("perhaps posted in the answer, which is out of reach by now")
        if row.attempted_by == TOKEN:
            self._notices.privately(messages.not_posted(job))
            raise Undeliverable("perhaps posted, and that is not to be seen")
        if self._clock.since(row.created_at) > GIVE_UP_MS:
            raise Undeliverable("perhaps posted, and the channel's history cannot be read")
        raise RetryLater("perhaps posted; the channel's history cannot be read", HELD_UP_MS)

    def _point_to_show(self) -> bool:
        """Say in place of the progress how the pictures are to be seen; False where that cannot be said."""
        result = self._row.kind == deliveries.RESULT
        return result and self._notices.in_progress(self._job, messages.not_posted(self._job))

    def _elsewhere(self, reason: str, refused: Refused | None = None) -> NoReturn:
        """Redirect, once, what cannot or may not be posted where it was asked for: to direct messages."""
        row = self._row
        if row.guild_id is None and not row.user_install:
            raise Undeliverable(reason, refused)
        if self._refused_by(policy.check_redirected) is not None:
            raise Undeliverable(reason, refused)
        if row.kind == deliveries.RESULT and self._has_copy():
            raise Undeliverable(f"{reason}; its copy goes to direct messages", refused)
        channel_id = self._open_dm(f"{reason}; and no direct message", refused)
        self._outbox.write(deliveries.redirect, row.id, channel_id)
        raise Redirected(reason)

    def _has_copy(self) -> bool:
        return self._outbox.read(deliveries.has_copy, self._row.job_id)

    def _say_in_place(self) -> None:
        """Say why there are no pictures, where the progress was shown, or else in a message."""
        said = sentence(self._outbox, self._job)
        self._outbox.board.close(self._job.id)
        if self._once.clean and self._said_in_progress(said):
            return
        message_id = self._post(OutgoingMessage(said, self._job.member_id))
        if message_id is not None:
            self._note(deliveries.told, message_id)

    def _said_in_progress(self, said: str) -> bool:
        outbox, job, clock = self._outbox, self._job, self._clock
        keep_files = job.state == JobState.CANCELLED and outbox.read(policy.may_show, job)
        edit = partial(posting.edit, outbox.client, content=said, keep_files=keep_files)
        failed = partial(check, job=job, clock=clock, refused=self._once.nothing_is_there)
        return change_progress(outbox, places(job, clock), edit, failed)


def _said_by_batch(job: Job) -> bool:
    """Of those of its jobs that were stopped, a batch's own message says enough."""
    return job.batch_id is not None and job.state == JobState.CANCELLED
