"""Time of the work around the UNet: prompts and pictures, one by one and shared, and the schedulers'
steps.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from benchmarks.workload import Mix
from generator import devices
from generator.engine.decoding import DecodeQueue
from generator.engine.engine import Engine
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import schedulers

JOBS = 4
PROMPTS = 8


class Around(NamedTuple):
    """Milliseconds: of one prompt or picture, and of a job's scheduler step (a grid of four) by sampler."""

    prompt_alone: float
    prompt_shared: float
    picture_alone: float
    picture_shared: float
    decoding_call: float
    """The longest call of the autoencoder, which is what a tick may have to wait for."""
    steps: dict[str, float]


def around(engine: Engine, mix: Mix, rounds: int) -> Around:
    """Medians of `rounds`; on the device's thread, with nothing else to do."""
    return engine.device_thread.call(lambda: _around(engine, mix, rounds))


def _around(engine: Engine, mix: Mix, rounds: int) -> Around:
    family = engine.family
    texts = [f"{mix.request(number, 1).prompt}, again" for number in range(PROMPTS)]
    jobs = [_drawn(engine, mix, number) for number in range(JOBS)]
    images = sum(rows.count for rows in jobs)
    calls: list[float] = []

    def shared() -> None:
        decoder = DecodeQueue(family.device)
        for rows in jobs:
            decoder.add(rows)
        while len(decoder):
            calls.append(_seconds(family.device, decoder.step))

    def alone() -> None:
        for rows in jobs:
            for latents in rows.latents:
                family.decode(latents[None])

    works: dict[str, Callable[[], object]] = {
        "prompt_alone": lambda: [family.encode([text]) for text in texts],
        "prompt_shared": lambda: family.encode(texts),
        "picture_alone": alone,
        "picture_shared": shared,
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            seconds[name].append(_seconds(family.device, work))
    counts = {"prompt_alone": PROMPTS, "prompt_shared": PROMPTS}
    per_one = {
        # The first round pays for allocations.
        name: 1000 * statistics.median(each[1:]) / counts.get(name, images)
        for name, each in seconds.items()
    }
    steps = {name: _step(engine, mix, name) for name in schedulers.TABLE}
    return Around(**per_one, decoding_call=1000 * statistics.median(calls), steps=steps)


def _drawn(engine: Engine, mix: Mix, number: int, sampler: str = "ddim") -> RunningJob:
    rows = RunningJob(engine.family, DrawRequest(mix.request(number, mix.least_steps, sampler=sampler)))
    rows.start()
    return rows


def _step(engine: Engine, mix: Mix, sampler: str) -> float:
    """Milliseconds of the device's thread for one step of a job, the UNet's own time left out."""
    rows = _drawn(engine, mix, 0, sampler)
    seconds = []
    while not rows.finished:
        begin = time.perf_counter()
        latents, _ = rows.model_input()
        taken = time.perf_counter() - begin
        answer = torch.randn_like(latents)
        begin = time.perf_counter()
        rows.advance(answer)
        seconds.append(taken + time.perf_counter() - begin)
    return 1000 * statistics.median(seconds)


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    devices.synchronize(device)
    return time.perf_counter() - begin
