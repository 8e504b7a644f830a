"""A whole queue through Easel's engine, and by the bare pipeline one job after another."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import PIL.Image

from benchmarks.clock import Stopwatch
from benchmarks.pipeline import Pipeline
from benchmarks.unet_calls import Total, UNetCalls
from benchmarks.workload import Arrival
from generator.engine.engine import Engine
from generator.worker import output
from storage.contract import GenerationRequest


class Run(NamedTuple):
    """`seconds` from the first arrival to the last PNG; `latencies` from each arrival to its PNGs."""

    seconds: float
    latencies: tuple[float, ...]
    unet: Total


Way = Callable[[Sequence[Arrival]], Run]


def one_after_another(pipeline: Pipeline, calls: UNetCalls, arrivals: Sequence[Arrival]) -> Run:
    """In order of arrival, drawn and encoded on this thread."""
    calls.forget()
    clock = Stopwatch()
    ready = []
    for arrival in arrivals:
        clock.wait_until(arrival.at)
        encode(pipeline.draw(arrival.request), arrival.request)
        ready.append(clock.read().wall)
    return _run(arrivals, ready, calls)


def through_engine(engine: Engine, calls: UNetCalls, arrivals: Sequence[Arrival]) -> Run:
    """Submitted on arrival; a thread a job takes the pictures and encodes them, as a worker's do."""
    calls.forget()
    clock = Stopwatch()

    def take(future: Future[list[PIL.Image.Image]], request: GenerationRequest) -> float:
        output.encode_all(future.result(), request)
        return clock.read().wall

    with ThreadPoolExecutor(len(arrivals)) as takers:
        taken = []
        for arrival in arrivals:
            clock.wait_until(arrival.at)
            taken.append(takers.submit(take, engine.submit(arrival.request), arrival.request))
        ready = [each.result() for each in taken]
    return _run(arrivals, ready, calls)


def encode(images: Sequence[PIL.Image.Image], request: GenerationRequest) -> list[bytes]:
    """One after another, as the usual way does."""
    return [output.encode(image, request, index) for index, image in enumerate(images)]


def by_turns(ways: dict[str, Way], arrivals: Sequence[Arrival], rounds: int) -> dict[str, list[Run]]:
    """Every way draws the queue `rounds` times; who begins changes from round to round."""
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(rounds):
        order = list(ways) if number % 2 == 0 else list(reversed(ways))
        for name in order:
            runs[name].append(ways[name](arrivals))
    return runs


def figures(runs: Sequence[Run], arrivals: Sequence[Arrival]) -> dict[str, float]:
    """The medians of the runs; latencies are those of all runs together, in seconds."""
    images = sum(arrival.request.num_images_per_prompt for arrival in arrivals)
    latencies = [seconds for run in runs for seconds in run.latencies]
    short = [
        seconds for run in runs for seconds, each in zip(run.latencies, arrivals, strict=True) if each.short
    ]
    return {
        "images_a_minute": statistics.median(60 * images / run.seconds for run in runs),
        "median_latency": statistics.median(latencies),
        "p95_latency": percentile(latencies, 95),
        "short_p95_latency": percentile(short, 95),
        "unet_calls": statistics.median(run.unet.calls for run in runs),
        "rows_a_call": sum(run.unet.rows for run in runs) / sum(run.unet.calls for run in runs),
        "unet_share": statistics.median(run.unet.seconds / run.seconds for run in runs),
        "unet_rows_a_second": statistics.median(run.unet.rows / run.unet.seconds for run in runs),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def _run(arrivals: Sequence[Arrival], ready: Sequence[float], calls: UNetCalls) -> Run:
    latencies = tuple(done - arrival.at for done, arrival in zip(ready, arrivals, strict=True))
    return Run(max(ready), latencies, calls.take())
