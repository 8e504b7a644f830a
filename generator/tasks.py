"""The life of one claimed job: draw or enlarge, check, save, finish; or fail, stop, or let go of it."""

from __future__ import annotations

import errno
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import PIL.Image
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from generator import creative, pasting
from generator.creative import Piece
from generator.device_thread import EngineClosed
from generator.engine import Engine
from generator.models import Models
from generator.movie import Movie
from generator.progress import Pulse, Reporter
from generator.results import Results
from generator.rows import Progress
from generator.safety import SafetyCheck, Verdict
from generator.source_pictures import SourcePictures
from storage import attempts, jobs
from storage.attempts import Claim
from storage.backends import Backends
from storage.contract import (
    ChangedEvent,
    ErrorCode,
    GenerationRequest,
    JobState,
    Part,
    Phrase,
    Task,
)
from storage.drafts import Picture
from storage.errors import (
    CatalogError,
    DataDeleted,
    ImageMissing,
    NearlyWhole,
    NoSuchImage,
    NothingFound,
    SourceWithheld,
    Stale,
)
from storage.tables import Job

log = logging.getLogger(__name__)

T = TypeVar("T")

Images = list[PIL.Image.Image]
Words = dict[str, Any]
"""What `jobs.result` keeps."""

DESCRIPTIONS = 4

_DETAIL_CHARACTERS = 500
_FOR_GOOD = (
    ErrorCode.SOURCE_MISSING,
    ErrorCode.SOURCE_WITHHELD,
    ErrorCode.REGION_NOT_FOUND,
    ErrorCode.REGION_TOO_LARGE,
)
"""What another attempt would meet again."""
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0)


class LetGo(Exception):
    """The job is no longer this worker's affair: nothing more is written about it."""


class Attempt:
    """One attempt at one job, run by `run()` on a thread of its own; the other methods are for other threads.

    Every write names the attempt. One that has lost its lease therefore leaves nothing behind, however late
    it wakes up.
    """

    def __init__(
        self, backends: Backends, models: Models, claim: Claim, pulse: Pulse, device_lost: threading.Event
    ) -> None:
        self.claim = claim
        self._device_lost = device_lost
        self._backends = backends
        self._models = models
        self._cancelled = threading.Event()
        self._let_go = threading.Event()
        self._lock = threading.Lock()
        self._future: Future[Images] | None = None
        self._movie: Movie | None = Movie() if claim.request.video else None
        self._results = Results(backends.images, claim)
        self._sources = SourcePictures(claim.request, backends.images, self._is_unsafe, self._key_of)
        self._milliseconds: dict[str, int] = {}
        self.outcome: JobState | None = None
        """What the job became by this attempt, once that is written."""
        self._reporter = Reporter(backends.events, claim.job_id, claim.attempt, pulse, models.previews)
        if claim.cancel_requested:
            self._cancelled.set()

    def cancel(self) -> None:
        """Someone asked for the job to stop: it does, before the next UNet call."""
        with self._lock:
            self._cancelled.set()
            if self._future is not None:
                self._future.cancel()

    def let_go(self) -> None:
        """Another worker has the job, or will have it: stop drawing, and say nothing about it any more."""
        with self._lock:
            self._let_go.set()
            if self._future is not None:
                self._future.cancel()

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
        except LetGo:
            log.info("job %s: attempt %s let go", self.claim.job_id, self.claim.attempt)
        except Stale:
            log.warning("job %s: attempt %s had lost its lease", self.claim.job_id, self.claim.attempt)
            self._results.drop()

    def _run(self) -> None:
        try:
            self._go_on()
            self._reporter.begin()
            if self.claim.request.task.draws:
                request, words = self._worded(self.claim.request)
                images = self._make(request)
                pictures = self._save(images, request)
                self._finish(pictures, words, self._save_movie(images, pictures))
            else:
                self._finish([], self._words())
        except CancelledError:
            self._stopped()
        except (Stale, LetGo):
            raise
        except Exception as error:
            if self._let_go.is_set():
                raise LetGo from error
            if isinstance(error, EngineClosed):
                # Told before the job waits again: whoever claims it next must not be this worker.
                self._device_lost.set()
            self._failed(error)
            self._results.drop()
            if isinstance(error, EngineClosed):
                raise

    def _words(self) -> Words:
        """What a job that draws nothing finds out.

        Raises:
            CancelledError: someone asked for it to stop.
        """
        request = self.claim.request
        if request.task is Task.SHORTEN:
            with self._timed("load_ms"):
                shortener = self._models.shortener(request.model)
            with self._timed("run_ms"), self._reporter.waiting_for_device():
                shortened = shortener.shorten(request.prompt, self._advanced)
            return {"weights": shortened.weights, "prompts": shortened.prompts}
        source = self._sources.source()
        assert source is not None
        with self._timed("load_ms"):
            describer = self._models.describer(request.model)
        with self._timed("run_ms"), self._reporter.waiting_for_device():
            found = describer.describe(source, DESCRIPTIONS, request.seed, self._advanced)
        return {"prompts": found}

    def _worded(self, request: GenerationRequest) -> tuple[GenerationRequest, Words | None]:
        """The request of a blend with what its pictures show for words, where nobody wrote others."""
        if not request.source_keys or request.prompt:
            return request, None
        sources = self._sources.blended()
        with self._timed("load_ms"):
            describer = self._models.describer(request.model)
        with self._timed("describe_ms"), self._reporter.waiting_for_device():
            found = [describer.likeliest(source) for source in sources]
        parts = tuple(Part(phrases=(Phrase(text=text),)) for text in found if text)
        worded = request.model_copy(update={"prompt": ", ".join(found), "parts": parts})
        return worded, {"prompts": found}

    def _make(self, request: GenerationRequest) -> Images:
        """The job's pictures.

        Raises:
            CancelledError: someone asked for it to stop.
        """
        source = self._sources.source()
        if request.task is Task.UPSCALE:
            assert source is not None
            return [self._enlarged(source, request)]
        mask = self._sources.mask(source, self._found)
        with self._timed("load_ms"):
            engine = self._models.engine(request.model)
            check = self._models.preview_check(request.model)
        self._go_on()
        with self._timed("run_ms"), self._reporter.waiting_for_device():
            future = engine.submit(
                request,
                image=source,
                mask=mask and pasting.to_draw(mask),
                on_progress=self._progressed,
                alone=self.claim.alone,
            )
            try:
                drawn = self._result(future, check)
            finally:
                future.cancel()
        if source is None or mask is None:
            return drawn
        return [pasting.pasted(image, source, mask) for image in drawn]

    def _found(self, source: PIL.Image.Image, words: str) -> PIL.Image.Image:
        with self._timed("segment_ms"), self._reporter.waiting_for_device():
            return self._models.segmenter(self.claim.request.model).find(source, words)

    def _progressed(self, progress: Progress) -> None:
        self._reporter.progressed(progress)
        if self._movie is not None:
            self._movie.progressed(progress)

    def _enlarged(self, source: PIL.Image.Image, request: GenerationRequest) -> PIL.Image.Image:
        """The picture enlarged, and with `creativity` drawn over, which is the later half of the progress."""
        assert request.scale != 1
        with self._timed("load_ms"):
            upscaler = self._models.upscaler(request.model, request.upscaler)
            engine = self._models.engine(request.model) if request.creativity else None
            check = self._models.preview_check(request.model)
        self._go_on()
        share = 0.5 if engine else 1.0
        with self._timed("run_ms"), self._reporter.waiting_for_device():
            image = upscaler.enlarge(
                source,
                request.scale,
                lambda fraction: self._advanced(fraction * share),
                wrapped=request.tile,
            )
            if engine is None:
                return image
            sizes = self._backends.catalog[request.model].sizes
            return creative.enriched(image, request, sizes, partial(self._drawn_over, engine, check))

    def _drawn_over(self, engine: Engine, check: SafetyCheck, pieces: Sequence[Piece]) -> Images:
        fractions = [0.0] * len(pieces)

        def progressed(index: int, progress: Progress) -> None:
            fractions[index] = progress.fraction
            self._reporter.progressed(Progress(0.5 + 0.5 * sum(fractions) / len(fractions), None))

        futures = [
            engine.submit(
                piece.request,
                image=piece.image,
                on_progress=partial(progressed, index),
                alone=self.claim.alone,
            )
            for index, piece in enumerate(pieces)
        ]
        try:
            return [self._result(future, check)[0] for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _advanced(self, fraction: float) -> None:
        """Called between the parts of a work without steps, on this attempt's thread."""
        self._go_on()
        self._reporter.advanced(fraction)

    def _is_unsafe(self, picture: PIL.Image.Image) -> bool:
        return any(verdict.unsafe for verdict in self._check([picture]))

    def _check(self, images: Sequence[PIL.Image.Image]) -> list[Verdict]:
        check = self._models.safety(self.claim.request.model)
        with self._reporter.waiting_for_device():
            return check.check(images)

    def _key_of(self, image_id: int) -> str:
        image, _ = self._transaction(lambda session: jobs.image(session, image_id))
        return image.key

    def _result(self, future: Future[Images], check: SafetyCheck) -> Images:
        with self._lock:
            self._future = future
            if self._cancelled.is_set() or self._let_go.is_set():
                future.cancel()
        try:
            while not future.done():
                with suppress(TimeoutError):
                    future.exception(timeout=self._reporter.pause_seconds)
                if not future.done():
                    self._reporter.report(check)
            return future.result()
        except CancelledError:
            self._go_on()
            raise EngineClosed("the engine dropped the job") from None

    def _go_on(self) -> None:
        """Raise if the attempt should end here."""
        if self._let_go.is_set():
            raise LetGo
        if self._cancelled.is_set():
            raise CancelledError

    def _save(self, images: Images, request: GenerationRequest) -> list[Picture]:
        """Check each image and put it into the store."""
        with self._timed("safety_ms"):
            verdicts = self._check(images)
        with self._timed("save_ms"):
            return self._results.save_pictures(images, verdicts, request)

    def _save_movie(self, images: Images, pictures: Sequence[Picture]) -> str | None:
        """Put the movie into the store, if one was asked for and may be seen. Returns its key."""
        if self._movie is None or all(picture.withheld for picture in pictures):
            return None
        self._go_on()
        check = self._models.safety(self.claim.request.model)
        with self._timed("movie_ms"), self._reporter.waiting_for_device():
            data = self._movie.webp(images, check)
        return None if data is None else self._results.save_movie(data)

    def _finish(self, pictures: Sequence[Picture], words: Words | None, movie_key: str | None = None) -> None:
        claim = self.claim

        def finish(session: Session) -> Job:
            job = session.get_one(Job, claim.job_id)
            if job.attempts == claim.attempt and job.state in (JobState.SUCCEEDED, JobState.WITHHELD):
                # The answer to an earlier try of this very transaction was lost.
                return job
            timings = self._milliseconds | {"queued_ms": (job.started_at or job.created_at) - job.created_at}
            return attempts.finish(session, claim.job_id, claim.attempt, pictures, timings, words, movie_key)

        self._changed(self._transaction(finish))
        log.info("job %s: attempt %s made %s pictures", claim.job_id, claim.attempt, len(pictures))

    def _stopped(self) -> None:
        def stopped(session: Session) -> Job:
            return attempts.stopped(session, self.claim.job_id, self.claim.attempt)

        self._changed(self._transaction(stopped))
        log.info("job %s: stopped, as was asked for", self.claim.job_id)

    def _failed(self, error: Exception) -> None:
        claim, code = self.claim, error_code(error)
        detail = f"{type(error).__name__}: {error}"[:_DETAIL_CHARACTERS]
        retry = code not in _FOR_GOOD

        def fail(session: Session) -> Job:
            attempts.fail(session, claim.job_id, claim.attempt, code, detail, retry=retry)
            return jobs.get(session, claim.job_id)

        log.error("job %s: attempt %s failed (%s)", claim.job_id, claim.attempt, code.value, exc_info=error)
        self._changed(self._transaction(fail))

    def _changed(self, job: Job) -> None:
        self.outcome = JobState(job.state)
        self._backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))

    def _transaction(self, change: Callable[[Session], T]) -> T:
        """Run `change` and commit. While the database is away it is tried again, unless the job is let go."""
        for retry in itertools.count():
            try:
                with self._backends.database.writing() as session:
                    return change(session)
            except (OperationalError, InterfaceError) as error:
                log.warning("job %s: the database does not answer: %s", self.claim.job_id, error.orig)
                if self._let_go.wait(_PAUSES_SECONDS[min(retry, len(_PAUSES_SECONDS) - 1)]):
                    raise LetGo from error
        raise AssertionError

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._milliseconds[name] = round((time.monotonic() - started) * 1000)


def error_code(error: BaseException) -> ErrorCode:
    """Which of the reasons that members are told an exception comes to."""
    match error:
        case ImageMissing() | NoSuchImage() | DataDeleted():
            return ErrorCode.SOURCE_MISSING
        case SourceWithheld():
            return ErrorCode.SOURCE_WITHHELD
        case NothingFound():
            return ErrorCode.REGION_NOT_FOUND
        case NearlyWhole():
            return ErrorCode.REGION_TOO_LARGE
        case CatalogError():
            return ErrorCode.MODEL_UNAVAILABLE
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return ErrorCode.DISK_FULL
        case MemoryError():
            return ErrorCode.OUT_OF_MEMORY
    # torch's own, by name: this module runs without torch.
    if type(error).__name__ == "OutOfMemoryError":
        return ErrorCode.OUT_OF_MEMORY
    return ErrorCode.CRASHED
