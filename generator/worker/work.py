"""The work of one attempt at a job: pictures or words, made with the models that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import PIL.Image

from generator.companions.safety import SafetyCheck, Verdict
from generator.conditioning import compositing, surroundings, tiled_img2img
from generator.conditioning.tiled_img2img import Tile
from generator.engine.device_thread import EngineClosed
from generator.engine.engine import Engine
from generator.engine.running_job import Progress
from generator.worker.cancellation import CancellationToken
from generator.worker.inputs import SourceImages
from generator.worker.models import Models
from generator.worker.movie import Movie
from generator.worker.progress import Reporter
from storage.attempts import Claim
from storage.backends import Backends
from storage.contract import GenerationRequest, Part, Phrase, Task

Images = list[PIL.Image.Image]
Words = dict[str, Any]
"""Value of `jobs.result`."""

DESCRIPTIONS = 4


class Work:
    """Runs on its attempt's thread, until the attempt is to stop."""

    def __init__(
        self,
        claim: Claim,
        backends: Backends,
        models: Models,
        reporter: Reporter,
        stop: CancellationToken,
        key_of: Callable[[int], str],
    ) -> None:
        """`key_of` tells the image store's key of a picture by its id."""
        self._claim = claim
        self._models = models
        self._catalog = backends.catalog
        self._reporter = reporter
        self._stop = stop
        self._movie: Movie | None = Movie() if claim.request.video else None
        self._sources = SourceImages(claim.request, backends.images, self._is_unsafe, key_of)
        self.milliseconds: dict[str, int] = {}
        """Duration of each part of the work."""

    def words(self) -> Words:
        """Find the words for a job that draws nothing.

        Raises:
            CancelledError: someone asked for it to stop.
        """
        request = self._claim.request
        if request.task is Task.SHORTEN:
            with self.timed("load_ms"):
                shortener = self._models.shortener(request.model)
            with self.timed("run_ms"), self._reporter.waiting_for_device():
                shortened = shortener.shorten(request.prompt, self._advanced)
            return {"weights": shortened.weights, "prompts": shortened.prompts}
        source = self._sources.source()
        assert source is not None
        with self.timed("load_ms"):
            describer = self._models.describer(request.model)
        with self.timed("run_ms"), self._reporter.waiting_for_device():
            found = describer.describe(source, DESCRIPTIONS, request.seed, self._advanced)
        return {"prompts": found}

    def worded(self, request: GenerationRequest) -> tuple[GenerationRequest, Words | None]:
        """The request of a blend with what its pictures show for words, where nobody wrote others."""
        if not request.source_keys or request.prompt:
            return request, None
        sources = self._sources.blended()
        with self.timed("load_ms"):
            describer = self._models.describer(request.model)
        with self.timed("describe_ms"), self._reporter.waiting_for_device():
            found = [describer.likeliest(source) for source in sources]
        parts = tuple(Part(phrases=(Phrase(text=text),)) for text in found if text)
        worded = request.changed(prompt=", ".join(found), parts=parts)
        return worded, {"prompts": found}

    def make(self, request: GenerationRequest) -> Images:
        """The job's pictures.

        Raises:
            CancelledError: someone asked for it to stop.
        """
        source = self._sources.source()
        if request.task is Task.UPSCALE:
            assert source is not None
            return [self._enlarged(source, request)]
        mask = self._sources.mask(source, self._found)
        control, references = self._sources.control(), self._sources.references()
        with self.timed("load_ms"):
            engine = self._models.engine(request.model, request.task)
            check = self._models.preview_check(request.model)
        if request.continues and source is not None and mask is not None:
            request = self._surrounding(request, source, mask)
        # A region of a picture, not a sheet around one.
        soft = request.source_key is None
        self._stop.check()
        with self.timed("run_ms"), self._reporter.waiting_for_device():
            future = engine.submit(
                request,
                image=source,
                mask=mask and (compositing.soft_mask(mask) if soft else compositing.grow_mask(mask)),
                control=control,
                references=references,
                on_progress=self._progressed,
                alone=self._claim.alone,
            )
            try:
                drawn = self._result(future, check)
            finally:
                future.cancel()
        if source is None or mask is None:
            return drawn
        return [compositing.composite(image, source, mask, soft=soft) for image in drawn]

    def _found(self, source: PIL.Image.Image, words: str) -> PIL.Image.Image:
        with self.timed("segment_ms"), self._reporter.waiting_for_device():
            return self._models.segmenter(self._claim.request.model).find(source, words)

    def _surrounding(
        self, request: GenerationRequest, init_image: PIL.Image.Image, mask: PIL.Image.Image
    ) -> GenerationRequest:
        """The request without what the init image shows already; as it is without a segmenter."""
        if self._catalog[request.model].segmenter is None:
            return request
        with self.timed("segment_ms"), self._reporter.waiting_for_device():
            return surroundings.of(request, init_image, mask, self._models.segmenter(request.model).see)

    def _progressed(self, progress: Progress) -> None:
        self._reporter.progressed(progress)
        if self._movie is not None:
            self._movie.progressed(progress)

    def _enlarged(self, source: PIL.Image.Image, request: GenerationRequest) -> PIL.Image.Image:
        """The picture enlarged, and with `creativity` drawn over, which is the later half of the progress."""
        assert request.scale != 1
        with self.timed("load_ms"):
            upscaler = self._models.upscaler(request.model, request.upscaler)
            engine = self._models.engine(request.model) if request.creativity else None
            check = self._models.preview_check(request.model)
        self._stop.check()
        share = 0.5 if engine else 1.0
        with self.timed("run_ms"), self._reporter.waiting_for_device():
            image = upscaler.enlarge(
                source,
                request.scale,
                lambda fraction: self._advanced(fraction * share),
                wrapped=request.tile,
            )
            if engine is None:
                return image
            sizes = self._catalog[request.model].sizes
            return tiled_img2img.tiled_img2img(
                image, request, sizes, partial(self._drawn_over, engine, check)
            )

    def _drawn_over(self, engine: Engine, check: SafetyCheck, pieces: Sequence[Tile]) -> Images:
        fractions = [0.0] * len(pieces)

        def progressed(index: int, progress: Progress) -> None:
            fractions[index] = progress.fraction
            self._reporter.progressed(Progress(0.5 + 0.5 * sum(fractions) / len(fractions), None))

        futures = [
            engine.submit(
                piece.request,
                image=piece.image,
                on_progress=partial(progressed, index),
                alone=self._claim.alone,
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
        self._stop.check()
        self._reporter.advanced(fraction)

    def _is_unsafe(self, image: PIL.Image.Image) -> bool:
        return any(verdict.unsafe for verdict in self.check([image]))

    def check(self, images: Sequence[PIL.Image.Image]) -> list[Verdict]:
        """Let the safety checker look at pictures: a verdict for each."""
        check = self._models.safety(self._claim.request.model)
        with self._reporter.waiting_for_device():
            return check.check(images)

    def _result(self, future: Future[Images], check: SafetyCheck) -> Images:
        self._stop.hold(future)
        try:
            while not future.done():
                with suppress(TimeoutError):
                    future.exception(timeout=self._reporter.pause_seconds)
                if not future.done():
                    self._reporter.report(check)
            return future.result()
        except CancelledError:
            self._stop.check()
            raise EngineClosed("the engine dropped the job") from None

    def movie(self, images: Images, exif: bytes = b"") -> bytes | None:
        """The movie of how the pictures formed, as WebP, if one was asked for and may be seen."""
        if self._movie is None:
            return None
        self._stop.check()
        check = self._models.safety(self._claim.request.model)
        with self.timed("movie_ms"), self._reporter.waiting_for_device():
            return self._movie.webp(images, check, exif)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note under this name how long what is done in here takes."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.milliseconds[name] = round((time.monotonic() - started) * 1000)
