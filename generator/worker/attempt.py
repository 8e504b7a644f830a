"""The life of one claimed job: draw or enlarge, check, save, finish; or fail, stop, or release it."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from generator.engine.device_thread import EngineClosed
from generator.worker.cancellation import CancellationToken, LeaseLost
from generator.worker.models import Models
from generator.worker.progress import Pulse, Reporter
from generator.worker.results import Results
from generator.worker.room import Room
from generator.worker.work import Images, Words, Work
from storage import attempts, full_disks, jobs
from storage.attempts import Blame, Claim
from storage.backends import Backends
from storage.contract import ChangedEvent, ErrorCode, GenerationRequest, JobState
from storage.database import passes
from storage.drafts import ImageDraft
from storage.errors import (
    CatalogError,
    DataDeleted,
    ImageMissing,
    NearlyWhole,
    NoSuchImage,
    NothingFound,
    SamplerUnavailable,
    SourceWithheld,
    Stale,
    StoreFull,
)
from storage.tables import Job

log = logging.getLogger(__name__)

T = TypeVar("T")

_DETAIL_CHARACTERS = 500
_FOR_GOOD = (
    ErrorCode.SOURCE_MISSING,
    ErrorCode.SOURCE_WITHHELD,
    ErrorCode.REGION_NOT_FOUND,
    ErrorCode.REGION_TOO_LARGE,
    ErrorCode.SAMPLER_UNAVAILABLE,
)
"""Errors that another attempt would meet again."""
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0)


class Attempt:
    """One attempt at one job, run by `run()` on a thread of its own; the other methods are for other threads.

    Every write names the attempt. One that has lost its lease therefore leaves nothing behind, however late
    it wakes up.
    """

    def __init__(
        self,
        backends: Backends,
        models: Models,
        claim: Claim,
        pulse: Pulse,
        room: Room,
        device_lost: threading.Event,
    ) -> None:
        self.claim = claim
        self._room = room
        self._device_lost = device_lost
        self._backends = backends
        self._stop = CancellationToken()
        self._reporter = Reporter(backends.events, claim.job_id, claim.attempt, pulse, models.previews)
        self._work = Work(claim, backends, models.as_of_now(), self._reporter, self._stop, self._key_of)
        self._results = Results(backends, claim)
        self.outcome: JobState | None = None
        """State that the job got by this attempt, once that is written."""
        if claim.cancel_requested:
            self._stop.cancel()

    def cancel(self) -> None:
        """Someone asked for the job to stop: it does, before the next UNet call."""
        self._stop.cancel()

    def release(self) -> None:
        """Another worker has the job, or will have it: stop drawing, and say nothing about it any more."""
        self._stop.release()

    @property
    def waiting_seconds(self) -> float:
        """For how long this job has been waiting for the device's answer; 0 while it is not."""
        return self._reporter.waiting_seconds

    def run(self) -> None:
        """Run the attempt to its end, whatever that is.

        Raises:
            EngineClosed: the device is lost to this process; the job itself waits for another one.
        """
        log.info("job %s: attempt %s begins", self.claim.job_id, self.claim.attempt)
        try:
            self._run()
        except LeaseLost:
            log.info("job %s: attempt %s let go", self.claim.job_id, self.claim.attempt)
        except Stale:
            log.warning("job %s: attempt %s had lost its lease", self.claim.job_id, self.claim.attempt)
            self._results.drop()

    def _run(self) -> None:
        try:
            self._stop.check()
            self._reporter.begin()
            if self.claim.request.task.draws:
                request, words = self._work.worded(self.claim.request)
                images = self._work.make(request)
                pictures = self._save(images, request)
                self._finish(pictures, words, self._save_movie(images, pictures, request))
            else:
                self._finish([], self._work.words())
        except CancelledError:
            self._stopped()
        except (Stale, LeaseLost):
            raise
        except Exception as error:  # one of the four edges where anything is caught: an attempt
            if self._stop.is_released:
                raise LeaseLost from error
            lost = _is_device_lost(error)
            if lost:
                # Told before the job waits again: whoever claims it next must not be this worker.
                self._device_lost.set()
            self._failed(error)
            self._results.drop()
            if lost:
                raise EngineClosed(str(error)) from error

    def _save(self, images: Images, request: GenerationRequest) -> list[ImageDraft]:
        """Check each image and put it into the store."""
        with self._work.timed("safety_ms"):
            verdicts = self._work.check(images)
        with self._work.timed("save_ms"):
            return self._results.save_pictures(images, verdicts, request)

    def _save_movie(
        self, images: Images, pictures: Sequence[ImageDraft], request: GenerationRequest
    ) -> str | None:
        """Put the movie into the store, if there is one that may be seen. Returns its key."""
        if all(image.withheld for image in pictures):
            return None
        data = self._work.movie(images, self._results.exif(request))
        return None if data is None else self._results.save_movie(data)

    def _finish(
        self, images: Sequence[ImageDraft], words: Words | None, movie_key: str | None = None
    ) -> None:
        claim = self.claim

        def finish(session: Session) -> Job:
            job = session.get_one(Job, claim.job_id)
            if job.attempts == claim.attempt and job.state in (JobState.SUCCEEDED, JobState.WITHHELD):
                # The answer to an earlier try of this very transaction was lost.
                return job
            timings = self._work.milliseconds | {
                "queued_ms": (job.started_at or job.created_at) - job.created_at
            }
            return attempts.finish(session, claim.job_id, claim.attempt, images, timings, words, movie_key)

        self._room.sufficed(self._results.size)
        finished = self._transaction(finish)
        if movie_key != finished.movie_key:
            self._results.drop_movie()
        self._changed(finished)
        log.info("job %s: attempt %s made %s pictures", claim.job_id, claim.attempt, len(images))

    def _stopped(self) -> None:
        def stopped(session: Session) -> Job:
            return attempts.stopped(session, self.claim.job_id, self.claim.attempt)

        self._changed(self._transaction(stopped))
        log.info("job %s: stopped, as was asked for", self.claim.job_id)

    def _failed(self, error: Exception) -> None:
        claim, code = self.claim, error_code(error)
        self._tell_room(error, code)
        detail = f"{type(error).__name__}: {error}"[:_DETAIL_CHARACTERS]
        retry = code not in _FOR_GOOD

        def fail(session: Session) -> Job:
            blame = _blame(error, code)
            attempts.fail(session, claim.job_id, claim.attempt, code, detail, retry=retry, blame=blame)
            return jobs.get(session, claim.job_id)

        log.error("job %s: attempt %s failed (%s)", claim.job_id, claim.attempt, code.value, exc_info=error)
        self._changed(self._transaction(fail))

    def _tell_room(self, error: Exception, code: ErrorCode) -> None:
        if isinstance(error, StoreFull):
            self._room.had_none_for_pictures(error.size)
        elif code is ErrorCode.OUT_OF_MEMORY and not self.claim.suspect:
            # A suspect had the whole worker: that it does not fit says nothing of others.
            self._room.had_no_memory()

    def _changed(self, job: Job) -> None:
        self.outcome = JobState(job.state)
        self._backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))

    def _key_of(self, image_id: int) -> str:
        image, _ = self._transaction(lambda session: jobs.image(session, image_id))
        return image.key

    def _transaction(self, change: Callable[[Session], T]) -> T:
        """Run `change` and commit. While the database is away it is tried again until the job is released."""
        for retry in itertools.count():
            try:
                with self._backends.database.writing() as session:
                    return change(session)
            except SQLAlchemyError as error:
                if not passes(error):
                    raise
                reason = getattr(error, "orig", error)
                log.warning("job %s: the database does not answer: %s", self.claim.job_id, reason)
                if self._stop.released_within(_PAUSES_SECONDS[min(retry, len(_PAUSES_SECONDS) - 1)]):
                    raise LeaseLost from error
        raise AssertionError


def _blame(error: Exception, code: ErrorCode) -> Blame:
    if isinstance(error, StoreFull):
        return Blame.NOBODY
    if code is ErrorCode.OUT_OF_MEMORY or _is_device_lost(error):
        return Blame.WHO_RAN_ALONE
    return Blame.JOB


def _is_device_lost(error: Exception) -> bool:
    # The second is torch's, by name: this module runs without torch.
    return isinstance(error, EngineClosed) or type(error).__name__ == "AcceleratorError"


_CODES: dict[type[BaseException], ErrorCode] = {
    ImageMissing: ErrorCode.SOURCE_MISSING,
    NoSuchImage: ErrorCode.SOURCE_MISSING,
    DataDeleted: ErrorCode.SOURCE_MISSING,
    SourceWithheld: ErrorCode.SOURCE_WITHHELD,
    NothingFound: ErrorCode.REGION_NOT_FOUND,
    NearlyWhole: ErrorCode.REGION_TOO_LARGE,
    SamplerUnavailable: ErrorCode.SAMPLER_UNAVAILABLE,
    CatalogError: ErrorCode.MODEL_UNAVAILABLE,
    StoreFull: ErrorCode.DISK_FULL,
    MemoryError: ErrorCode.OUT_OF_MEMORY,
}


def error_code(error: BaseException) -> ErrorCode:
    """Map an exception to one of the reasons that members are told."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    if full_disks.is_full(error):
        return ErrorCode.DISK_FULL
    # torch's own, by name: this module runs without torch.
    if type(error).__name__ == "OutOfMemoryError":
        return ErrorCode.OUT_OF_MEMORY
    return ErrorCode.CRASHED
