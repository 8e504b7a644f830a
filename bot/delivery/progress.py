"""The progress of jobs, shown in their messages: percent, the forming picture, and a button to stop it.

A batch has one message for all its jobs, which counts them and stays.

Events say that something moved; what is shown is read from the database, at most every two seconds a job.
No edit ever waits behind another: what comes while one is under way is shown by the next, the newest alone.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import discord

from actions import policy
from bot.database_outage import Outage
from bot.delivery import progress_messages
from bot.delivery.progress_messages import Said, Told
from bot.discord_io import posting
from bot.discord_io.client_loop import ClientLoop
from bot.discord_io.failures import DiscordFailure, Failure, classified
from bot.discord_io.uploads import Upload
from prompts.translation import speak
from storage import batches, jobs
from storage.backends import Backends
from storage.clock import Clock
from storage.contract import JobState, ProgressEvent
from storage.database import passes
from storage.errors import NoSuchBatch, NoSuchJob
from storage.monotonic import monotonic
from storage.supervision import supervised
from storage.tables import Batch, Job

log = logging.getLogger(__name__)

EVERY_S = 2.0
IN_CHANNEL_EVERY_S = 5.0
"""Edits of channel messages share a small rate limit with everything else in the channel."""
SWEEP_S = 15.0
BACK_OFF_S = 10.0
JOIN_S = 10.0


@dataclass(frozen=True)
class ProgressSubject:
    """A job, or a batch of them, that has a progress message."""

    table: type[Job | Batch]
    id: int


@dataclass(eq=False)
class Line:
    """State of one progress message. Times are seconds of the monotonic clock."""

    subject: ProgressSubject
    attempt: int = 0
    fraction: float = 0.0
    preview: bytes | None = None
    changed: bool = True
    due: float = 0.0
    under_way: Future[int] | None = None
    closed: bool = False
    """The result, or the sentence in its place, has the last word."""
    shown: Said | None = None
    settled: threading.Event = field(default_factory=threading.Event)
    """Set while no edit is under way."""


class ProgressBoard:
    def __init__(self, client: discord.Client, backends: Backends) -> None:
        self._client = client
        self._backends = backends
        self._lines: dict[ProgressSubject, Line] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._swept = -SWEEP_S
        self._changes: deque[tuple[Callable[..., None], tuple[int, ...]]] = deque()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to show progress. Called on the client's event loop, after login."""
        self._loop = ClientLoop()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        with self._lock:
            pending = [line.under_way for line in self._lines.values() if line.under_way is not None]
        for future in pending:
            future.cancel()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def show(self, event: ProgressEvent) -> None:
        """Show how far a job is, soon. From any thread; returns at once."""
        with self._lock:
            line = self._line(ProgressSubject(Job, event.job_id))
            if event.attempt < line.attempt:
                return
            if event.attempt > line.attempt:
                line.preview = None
            line.attempt, line.fraction = event.attempt, event.fraction
            line.preview = event.preview or line.preview
            line.changed = True
        self._wake.set()

    def look_again(self, job_id: int) -> None:
        """A job's row may have changed: show what it says now. From any thread; returns at once."""
        self._look(ProgressSubject(Job, job_id))

    def reread(self) -> None:
        """Events may have been missed: look at every unfinished job. From any thread; returns at once."""
        self._swept = -SWEEP_S
        self._wake.set()

    def close(self, job_id: int, timeout_s: float = 30.0) -> None:
        """Edit this job's message no more; waits for the edit that is under way."""
        with self._lock:
            line = self._line(ProgressSubject(Job, job_id))
            line.closed = True
            under_way = line.under_way
        if under_way is not None:
            line.settled.wait(timeout_s)

    def forget(self, job_id: int) -> None:
        """The job's last word is said."""
        subject = ProgressSubject(Job, job_id)
        with self._lock:
            line = self._lines.get(subject)
            if line is None:
                return
            if not line.changed:
                del self._lines[subject]
            elif line.closed:
                # One that changed is looked at once more: its batch has to hear of it.
                self._lines[subject] = Line(subject)
        self._wake.set()

    def _line(self, subject: ProgressSubject) -> Line:
        return self._lines.setdefault(subject, Line(subject))

    def _look(self, subject: ProgressSubject) -> None:
        with self._lock:
            self._line(subject).changed = True
        self._wake.set()

    def _drop(self, line: Line) -> None:
        with self._lock:
            self._lines.pop(line.subject, None)

    def _run(self) -> None:
        outage = Outage("progress")
        while not self._stopping.is_set():
            self._wake.wait(self._until_due())
            self._wake.clear()
            with outage.turn():
                self._write_changes()
                if monotonic() - self._swept >= SWEEP_S:
                    self._sweep()
                for line in self._due():
                    self._edit(line)
            self._stopping.wait(outage.wait_s)

    def _until_due(self) -> float:
        now = monotonic()
        with self._lock:
            waiting = [line.due for line in self._lines.values() if self._wants_edit(line)]
        times = [*waiting, self._swept + SWEEP_S]
        return max(0.0, min(times) - now)

    @staticmethod
    def _wants_edit(line: Line) -> bool:
        return line.changed and not line.closed and line.under_way is None

    def _due(self) -> list[Line]:
        now = monotonic()
        with self._lock:
            return [line for line in self._lines.values() if self._wants_edit(line) and line.due <= now]

    def _sweep(self) -> None:
        """Look at all that waits or runs, also for tokens that are about to end."""
        with self._backends.database.reading() as session:
            alone = [ProgressSubject(Job, job.id) for job in jobs.unfinished(session) if job.batch_id is None]
            subjects = [*alone, *(ProgressSubject(Batch, batch_id) for batch_id in batches.live(session))]
            overdue = batches.overdue(session)
        self._swept = monotonic()
        for subject in subjects:
            self._look(subject)
        for batch_id in overdue:
            self._later(batches.expire, batch_id)

    def _edit(self, line: Line) -> None:
        """Begin to edit a message where it says something else by now."""
        line.changed = False
        with ExitStack() as unread:
            unread.callback(setattr, line, "changed", True)
            told = self._of_job(line) if line.subject.table is Job else self._of_batch(line)
            unread.pop_all()
        if told is None:
            return
        row, place, said = told.row, told.place, told.said
        if line.shown is None and told.answered:
            line.shown = said
        if said == line.shown and not (place.ends_soon and row.progress_message_id is None):
            return
        with self._lock:
            if line.closed or self._stopping.is_set():
                return
            line.settled.clear()
            line.under_way = self._loop.run(self._request(told, line.shown))
            under_way = line.under_way
        under_way.add_done_callback(lambda future: self._edited(line, told, future))

    def _of_job(self, line: Line) -> Told | None:
        """Progress message of a job; None where its message is not to be edited."""
        try:
            with self._backends.database.reading() as session:
                job, clock = jobs.get(session, line.subject.id), Clock.read(session)
                ahead = jobs.ahead(session, job.id) if job.state == JobState.QUEUED else 0
                shown = job.batch_id is not None or policy.may_show(session, job)
        except NoSuchJob:
            self._drop(line)
            return None
        if job.batch_id is not None:
            # Its steps are not shown, and so not asked about more often than what is.
            line.due = monotonic() + EVERY_S
            self._look(ProgressSubject(Batch, job.batch_id))
        if JobState(job.state).finished:
            # Its line was closed already, or a late event made a new one.
            if not line.closed:
                self._drop(line)
            return None
        speak(job.locale)
        current = line.attempt == job.attempts
        fraction, preview = (line.fraction, line.preview) if current else (0.0, None)
        before = None if line.shown is None else line.shown.preview
        told = progress_messages.of_job(job, clock, ahead, fraction, preview, before)
        return told if shown or told is None else told.hidden()

    def _of_batch(self, line: Line) -> Told | None:
        """Progress message of a batch; None where its message is not to be edited."""
        try:
            with self._backends.database.reading() as session:
                batch = batches.get(session, line.subject.id)
                tally, clock = batches.tally(session, batch.id), Clock.read(session)
        except NoSuchBatch:
            self._drop(line)
            return None
        if batch.state != batches.CONFIRMED:
            self._drop(line)
            return None
        speak(batch.locale)
        told = progress_messages.of_batch(batch, clock, tally)
        if told is None and tally.finished:
            self._finish(line)
        return told

    def _finish(self, line: Line) -> None:
        """A batch's last word is said, or cannot be."""
        self._later(batches.finish, line.subject.id)
        self._drop(line)

    async def _request(self, told: Told, shown: Said | None) -> int:
        row, said = told.row, told.said
        upload = None
        if said.preview is not None and not said.keeps_files(shown):
            upload = Upload(f"preview_{row.id}.webp", said.preview)
        with classified():
            return await posting.edit(
                self._client,
                told.place,
                said.content,
                view=None if said.last else told.buttons,
                upload=upload,
                keep_files=said.keeps_files(shown),
            )

    def _edited(self, line: Line, told: Told, future: Future[int]) -> None:
        """On the client's loop, when an edit has ended: nothing here may wait."""
        row, said = told.row, told.said
        pause = EVERY_S if told.place.token is not None else IN_CHANNEL_EVERY_S
        error = None if future.cancelled() else future.exception()
        if error is not None:
            pause = self._failed(line, told, error)
        elif not future.cancelled():
            line.shown = said
            if row.progress_message_id is None:
                note = progress_messages.either(row, jobs.set_progress_message, batches.set_progress_message)
                self._later(note, row.id, future.result())
            if said.last:
                self._finish(line)
        with self._lock:
            line.under_way = None
            line.due = monotonic() + pause
        line.settled.set()
        self._wake.set()

    def _failed(self, line: Line, told: Told, error: BaseException) -> float:
        """Note why an edit failed; returns the seconds to wait before the next."""
        row, place = told.row, told.place
        name = f"{line.subject.table.__name__.lower()} {row.id}"
        if not isinstance(error, DiscordFailure):
            log.error("%s: its progress could not be shown", name, exc_info=error)
            return BACK_OFF_S
        log.info("%s: its progress could not be shown: %s", name, error)
        if error.kind is Failure.EXPIRED and not told.unanswered:
            self._later(progress_messages.either(row, jobs.forget_token, batches.forget_token), row.id)
            line.changed = True
        elif error.transient or told.unanswered:
            line.changed = True
            return EVERY_S if told.unanswered else BACK_OFF_S
        elif place.token is None or error.kind is Failure.NO_MESSAGE or told.said.last:
            self._give_up(line)
        return EVERY_S

    def _give_up(self, line: Line) -> None:
        """A moderator took the message away; the results will come all the same."""
        if line.subject.table is Batch:
            self._later(batches.forget_message, line.subject.id)
            line.changed = True
        else:
            line.closed = True

    def _later(self, change: Callable[..., None], *arguments: int) -> None:
        """Have the board's own thread write to the database."""
        self._changes.append((change, arguments))
        self._wake.set()

    def _write_changes(self) -> None:
        """Write what was noted, in order; it stays noted while the database does not answer."""
        while self._changes:
            change, arguments = self._changes[0]
            with (
                supervised(partial(_unwritten, change, arguments)),
                self._backends.database.writing() as session,
            ):
                change(session, *arguments)
            self._changes.popleft()


def _unwritten(change: Callable[..., None], arguments: Sequence[int], error: Exception) -> None:
    """One change that cannot be written does not hold up the others.

    Raises:
        Exception: `error` itself, where the database does not answer.
    """
    if passes(error):
        raise error
    log.error("progress: %s%s could not be written", change.__name__, arguments, exc_info=error)
