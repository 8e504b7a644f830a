"""Everything that benchmarks.engine measures of one model, in the time that it has."""

from __future__ import annotations

import fcntl
import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console

from benchmarks import arithmetic, around, first_picture, likeness, models, moments, queues
from benchmarks.clock import Allowance, Stopwatch
from benchmarks.models import Model
from benchmarks.pipeline import Pipeline
from benchmarks.unet_calls import UNetCalls
from benchmarks.workload import Mix, mixed_queue, spread, work
from generator import devices
from generator.compiling.calls import CompiledCall
from generator.engine.engine import Engine
from generator.families.sd import StableDiffusion

PARTS = ("alone", "first_tick", "previews", "around", "likeness", "first_picture")
QUEUE_SHARE = 0.6
"""Part of a model's time that the queues may take."""
LEAST_JOBS = 8
PREVIEWED_JOBS = 4
LIKENESS_JOBS = 12
"""Typical jobs whose work the comparison of pictures comes to."""
NEWCOMERS = 10

console = Console(stderr=True)


class Options(NamedTuple):
    """`load` is how many times faster jobs arrive than the bare pipeline draws them.

    `turn` is a file: of several commands that name it, which warm up side by side, one at a time measures.
    """

    jobs: int = 32
    rounds: int = 3
    steps: tuple[int, int] = (12, 40)
    seed: int = 0
    load: float = 4.0
    warm_up: float = 0.0
    preview_every: float = 1.0
    parts: Sequence[str] = PARTS
    turn: Path | None = None


class Sides(NamedTuple):
    """Both ways of drawing with one model, warm."""

    engine: Engine
    pipeline: Pipeline
    engine_calls: UNetCalls
    pipeline_calls: UNetCalls


@contextmanager
def opened(model: Model, device: torch.device) -> Iterator[Sides]:
    pipeline = models.open_pipeline(model, device)
    with closing(models.open_engine(model, device)) as engine:
        yield Sides(
            engine,
            pipeline,
            UNetCalls(engine.family, "predict", device),
            UNetCalls(pipeline.unet, "forward", device),
        )


def measure(model: Model, device: torch.device, options: Options, allowance: Allowance) -> dict[str, Any]:
    """Everything about one model; what the time left is too short for is missing."""
    mix = Mix(model.name, model.pixels, *options.steps)
    with opened(model, device) as sides:
        console.print(f"{model.title}: warming up")
        warm_up(sides, mix, options.warm_up)
        with _turn(options.turn):
            if options.turn is not None:
                allowance = allowance.anew()
            console.print(f"{model.title}: measuring")
            peak = {"peak_flops": arithmetic.peak_flops(device)} if devices.is_gpu(device) else {}
            job_seconds = _job_seconds(sides, mix)
            result = _queue(sides, mix, options, allowance, job_seconds)
            result |= _moments(sides, mix, options, allowance, job_seconds)
        latent_side = model.pixels // sides.engine.family.latent_scale
        flops = arithmetic.flops_per_row(sides.pipeline.unet.config, latent_side)
    del sides
    gc.collect()
    devices.release_unused(device)
    if "first_picture" in options.parts:
        result["first_picture"] = _first_picture(model, mix, device, allowance)
    return {
        "model": model.name,
        "title": model.title,
        "pixels": model.pixels,
        "steps": list(options.steps),
        "unet_flops_per_row": flops,
        **peak,
        **result,
    }


@contextmanager
def _turn(file: Path | None) -> Iterator[None]:
    if file is None:
        yield
        return
    with file.open("w") as opened_file:
        fcntl.flock(opened_file, fcntl.LOCK_EX)
        yield


def warm_up(sides: Sides, mix: Mix, most_seconds: float) -> None:
    """Draw on both sides, in the engine until what it calls is compiled, but no longer than so.

    What is drawn first pays for allocations and for choosing algorithms.
    """
    short = mix._replace(least_steps=2, most_steps=3)
    for way in (partial(queues.one_after_another, sides.pipeline, sides.pipeline_calls), _through(sides)):
        way(mixed_queue(short, 2, 0))
    allowance, compiled = Allowance(most_seconds), _compiled_calls(sides.engine)
    while allowance.left and not all(call.begun for call in compiled):
        _through(sides)(spread(mixed_queue(short, LEAST_JOBS, 0), 0.0))
    while allowance.left and not all(call.settled for call in compiled):
        time.sleep(0.5)
    # Sizes that came up meanwhile are recorded in a moment.
    for _ in range(2):
        _through(sides)(spread(mixed_queue(short, LEAST_JOBS, 0), 0.0))


def _compiled_calls(engine: Engine) -> list[CompiledCall]:
    family = engine.family
    assert isinstance(family, StableDiffusion)
    calls = (family.denoiser, family.decoder)
    return [call for call in calls if isinstance(call, CompiledCall)]


def _job_seconds(sides: Sides, mix: Mix) -> float:
    """Seconds that the pipeline takes for a typical job."""
    clock = Stopwatch()
    sides.pipeline.draw(mix.typical())
    return clock.read().wall


def fitted(jobs: int, rounds: int, job_seconds: float, seconds: float) -> tuple[int, int]:
    """Jobs and rounds that both sides finish in the time, rounds being given up first."""
    most = seconds / (2 * job_seconds)
    if jobs * rounds <= most:
        return jobs, rounds
    rounds = max(1, min(rounds, math.floor(most / jobs)))
    return max(min(jobs, LEAST_JOBS), min(jobs, math.floor(most / rounds))), rounds


def _through(sides: Sides) -> queues.Way:
    return partial(queues.through_engine, sides.engine, sides.engine_calls)


def _queue(
    sides: Sides, mix: Mix, options: Options, allowance: Allowance, job_seconds: float
) -> dict[str, Any]:
    queue = mixed_queue(mix, options.jobs, options.seed)
    mean = statistics.mean(work(arrival.request) for arrival in queue)
    mean_seconds = job_seconds * mean / work(mix.typical())
    jobs, rounds = fitted(options.jobs, options.rounds, mean_seconds, allowance.left * QUEUE_SHARE)
    arrival_seconds = jobs * mean_seconds / options.load
    arrivals = spread(mixed_queue(mix, jobs, options.seed), arrival_seconds)
    console.print(f"{jobs} jobs, {rounds} rounds, arriving within {arrival_seconds:.1f} s")
    ways: dict[str, queues.Way] = {
        "diffusers": partial(queues.one_after_another, sides.pipeline, sides.pipeline_calls),
        "easel": _through(sides),
    }
    runs = queues.by_turns(ways, arrivals, rounds)
    return {
        "jobs": jobs,
        "rounds": rounds,
        "queue": {
            "arrival_seconds": arrival_seconds,
            "arrivals": [arrival.at for arrival in arrivals],
            "requests": [arrival.request.model_dump(mode="json") for arrival in arrivals],
            **{name: queues.figures(runs[name], arrivals) for name in ways},
            "runs": {
                name: [run._asdict() | {"unet": run.unet._asdict()} for run in runs[name]] for name in ways
            },
        },
    }


def _plain(run: queues.Run) -> dict[str, Any]:
    return run._asdict() | {"unet": run.unet._asdict()}


def _moments(
    sides: Sides, mix: Mix, options: Options, allowance: Allowance, job_seconds: float
) -> dict[str, Any]:
    rounds = max(3, options.rounds)
    parts: dict[str, tuple[float, Callable[[], dict[str, Any]]]] = {
        "alone": (2 * rounds * job_seconds, lambda: _alone(sides, mix, rounds)),
        "first_tick": (2 * job_seconds, lambda: _first_tick(sides, mix)),
        "previews": (
            2 * rounds * PREVIEWED_JOBS * job_seconds,
            lambda: _previews(sides, mix, rounds, options.preview_every),
        ),
        "around": (rounds * job_seconds, lambda: around.around(sides.engine, mix, rounds)._asdict()),
        "likeness": (LIKENESS_JOBS * job_seconds, lambda: _likeness(sides, mix)),
    }
    found: dict[str, Any] = {}
    for name, (seconds, run) in parts.items():
        if name not in options.parts:
            continue
        if seconds > allowance.left:
            console.print(f"no time for {name}")
            continue
        console.print(name.replace("_", " "))
        found[name] = run()
    return found


def _likeness(sides: Sides, mix: Mix) -> dict[str, Any]:
    found = likeness.likeness(sides.engine, sides.pipeline, mix)
    return {
        "pipeline_db": min(each.pipeline_db for each in found.values()),
        "strangers_db": min(each.strangers_db for each in found.values()),
        "identical": sum(each.identical for each in found.values()),
        "of": len(found),
        "samplers": {name: each._asdict() for name, each in found.items()},
    }


def _alone(sides: Sides, mix: Mix, rounds: int) -> dict[str, Any]:
    seconds = moments.alone(sides.engine, sides.pipeline, mix, rounds)
    return {name: statistics.median(each) for name, each in seconds.items()} | {"seconds": seconds}


def _first_tick(sides: Sides, mix: Mix) -> dict[str, Any]:
    ticks = moments.first_ticks(sides.engine, sides.engine_calls, mix, NEWCOMERS)
    return {
        "begun": statistics.median(tick.begun for tick in ticks),
        "done": statistics.median(tick.done for tick in ticks),
        "seconds": [tick._asdict() for tick in ticks],
    }


def _previews(sides: Sides, mix: Mix, rounds: int, every: float) -> dict[str, Any]:
    found = moments.previews(sides.engine, mix, PREVIEWED_JOBS, rounds, every)
    return {"cost": moments.cost(found), "seconds": found}


def _first_picture(
    model: Model, mix: Mix, device: torch.device, allowance: Allowance
) -> dict[str, float] | None:
    console.print("first picture")
    found: dict[str, float] = {}
    steps = mix.typical().num_inference_steps
    for side in ("diffusers", "easel"):
        seconds = first_picture.after_start(side, model.name, device, steps, allowance.left)
        if seconds is None:
            console.print("no time for the first picture")
            return None
        found[side] = seconds
    return found
