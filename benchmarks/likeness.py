"""Likeness of a job's pictures drawn alone, among strangers, and by diffusers' pipeline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch

from benchmarks.pipeline import Pipeline
from benchmarks.workload import SAMPLERS, Mix
from generator.engine.batch_group import BatchGroup
from generator.engine.clock import HostClock
from generator.engine.engine import Engine
from generator.engine.meter import Meter
from generator.engine.running_job import DrawRequest, RunningJob
from storage.contract import GenerationRequest

Pictures = Sequence[PIL.Image.Image]

STRANGERS = 3
"""Grids of four beside the one that is looked at: a full call of 32 rows on a GPU."""
STEPS = 6
LEAST_DB = 45.0
"""Least likeness of a picture in half precision, among strangers or by the pipeline, to itself alone."""

IDENTICAL_DB = 99.0
"""Figure for pictures without any difference."""


class Likeness(NamedTuple):
    """Decibels (PSNR) are those of the least like picture; `identical` is to the last bit."""

    pipeline_db: float
    strangers_db: float
    identical: bool


def likeness(engine: Engine, pipeline: Pipeline, mix: Mix) -> dict[str, Likeness]:
    """Of a grid of four by each of the queue's samplers.

    `identical` compares it among strangers with itself among others, in calls of the same size.
    """
    return {sampler: _likeness(engine, pipeline, mix, sampler) for sampler in SAMPLERS}


def _likeness(engine: Engine, pipeline: Pipeline, mix: Mix, sampler: str) -> Likeness:
    request = mix.request(0, min(STEPS, mix.least_steps), sampler=sampler)
    alone = drawn(engine, request, [])
    crowds = [
        [mix.request(first + number, mix.most_steps) for number in range(STRANGERS)] for first in (10, 20)
    ]
    some, others = (drawn(engine, request, crowd) for crowd in crowds)
    return Likeness(
        decibels(alone, pipeline.draw(request)),
        decibels(alone, some),
        all(one.tobytes() == other.tobytes() for one, other in zip(some, others, strict=True)),
    )


def drawn(engine: Engine, request: GenerationRequest, crowd: Sequence[GenerationRequest]) -> Pictures:
    """The request's pictures; the crowd is in every call with it, and is not drawn to its end."""

    def draw() -> torch.Tensor:
        family = engine.family
        everybody = [RunningJob(family, DrawRequest(each)) for each in (request, *crowd)]
        pixels = math.prod(everybody[0].shape[1:])
        group = BatchGroup(family, pixels, 0.0, HostClock(torch.device("cpu")), Meter(family.device))
        group.rows_per_call = sum(rows.batch_rows for rows in everybody)
        for rows in everybody:
            rows.start()
            group.join(rows)
        while not everybody[0].finished:
            group.tick()
        return family.decode(everybody[0].latents)

    return engine.family.images(engine.device_thread.call(draw))


def decibels(some: Pictures, others: Pictures) -> float:
    """The peak signal-to-noise ratio of the pair that differs most."""
    return min(map(_decibels, some, others))


def _decibels(one: PIL.Image.Image, other: PIL.Image.Image) -> float:
    error = float(np.square(np.asarray(one, float) - np.asarray(other, float)).mean())
    return IDENTICAL_DB if error == 0 else 10 * math.log10(255**2 / error)
