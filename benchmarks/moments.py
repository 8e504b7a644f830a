"""One member's moments: a job alone, a newcomer in a full batch, and the cost of previews."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple, Self

import torch

from benchmarks.clock import Stopwatch
from benchmarks.pipeline import Pipeline
from benchmarks.queues import encode
from benchmarks.unet_calls import UNetCalls
from benchmarks.workload import Mix
from generator.engine.engine import Engine, Progress
from generator.worker import output
from generator.worker.progress import PreviewPace
from storage import image_encoding
from storage.contract import GenerationRequest

CROWD = 8
"""Jobs that fill the batch: 64 rows."""
_CROWD_STEPS = 500
_NEWCOMER_STEPS = 30
_PATIENCE = 600.0


class FirstTick(NamedTuple):
    """Seconds since the newcomer was submitted until its call began and was done, by the device's clock."""

    begun: float
    done: float


def alone(engine: Engine, pipeline: Pipeline, mix: Mix, rounds: int) -> dict[str, list[float]]:
    """Seconds from the request to its PNGs with nothing else to do, by turns."""
    seconds: dict[str, list[float]] = {"diffusers": [], "easel": []}
    for number in range(rounds):
        request = mix.typical(number)
        clock = Stopwatch()
        encode(pipeline.draw(request), request)
        seconds["diffusers"].append(clock.read().wall)
        clock = Stopwatch()
        output.encode_all(engine.submit(request).result(), request)
        seconds["easel"].append(clock.read().wall)
    return seconds


def first_ticks(engine: Engine, calls: UNetCalls, mix: Mix, newcomers: int) -> list[FirstTick]:
    """Of one newcomer after another, while others' jobs keep the batch full."""
    with _crowd(engine, mix):
        return [_first_tick(engine, calls, mix, number) for number in range(newcomers)]


def _first_tick(engine: Engine, calls: UNetCalls, mix: Mix, number: int) -> FirstTick:
    request = mix.request(100 + number, _NEWCOMER_STEPS)
    told = threading.Event()
    begin = time.perf_counter()
    future = engine.submit(request, on_progress=lambda _: told.set())
    if not told.wait(_PATIENCE):
        raise TimeoutError("a newcomer had no tick")
    future.cancel()
    size = (request.width, request.height)
    denoising = engine.family.denoising(
        request.scheduler, _NEWCOMER_STEPS, size=size, strength=None, rngs=[torch.Generator()]
    )
    own = float(denoising.times[0])
    # The crowd was at this timestep before the newcomer came, or never is: so it is known by it.
    call = next(each for each in calls.calls if each.asked > begin and own in each.timesteps.tolist())
    calls.wait()
    begun = call.begun() - begin
    return FirstTick(begun, begun + call.seconds())


@contextmanager
def _crowd(engine: Engine, mix: Mix) -> Iterator[None]:
    begun = [threading.Event() for _ in range(CROWD)]

    def tell(event: threading.Event) -> Callable[[Progress], None]:
        return lambda _: event.set()

    futures = [
        engine.submit(mix.request(number, _CROWD_STEPS), on_progress=tell(event))
        for number, event in enumerate(begun)
    ]
    try:
        if not all(event.wait(_PATIENCE) for event in begun):
            raise TimeoutError("the batch did not fill")
        yield
    finally:
        for future in futures:
            future.cancel()


class Previews:
    """Takes previews of the watched jobs now and then, and encodes them, at a worker's pace."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._pace = PreviewPace()
        self._lock = threading.Lock()
        self._latest: dict[int, Progress] = {}
        self._stop = threading.Event()
        self.taken = 0

    def watch(self, number: int) -> Callable[[Progress], None]:
        def progressed(progress: Progress) -> None:
            with self._lock:
                self._latest[number] = progress

        return progressed

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with self._lock:
                latest, self._latest = self._latest, {}
            for progress in latest.values():
                if progress.preview is not None and self._pace.due:
                    begun = time.thread_time()
                    image_encoding.webp_bytes(image_encoding.grid(progress.preview()))
                    self._pace.took(time.thread_time() - begun)
                    self.taken += 1


def previews(engine: Engine, mix: Mix, jobs: int, rounds: int, every: float) -> dict[str, list[float]]:
    """Seconds for some jobs at once without and with previews, by turns, and how many previews were taken."""
    found: dict[str, list[float]] = {"without": [], "with": [], "taken": []}
    for number in range(rounds):
        requests = [mix.typical(jobs * number + each) for each in range(jobs)]
        found["without"].append(_together(engine, requests, None))
        taker = Previews(every)
        found["with"].append(_together(engine, requests, taker))
        found["taken"].append(taker.taken)
    return found


def _together(engine: Engine, requests: Sequence[GenerationRequest], taker: Previews | None) -> float:
    with taker or nullcontext():
        clock = Stopwatch()
        futures = [
            engine.submit(request, on_progress=taker.watch(number) if taker else None)
            for number, request in enumerate(requests)
        ]
        for future in futures:
            future.result()
        return clock.read().wall


def cost(found: dict[str, list[float]]) -> float:
    """The part that previews add."""
    return statistics.median(found["with"]) / statistics.median(found["without"]) - 1
