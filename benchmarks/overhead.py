"""Cost of everything around the network: one grid through Easel, and by the bare diffusers pipeline.

    python -m benchmarks.overhead [--rounds 7] [--json overhead.json]

Both draw the same prompt with the same seed, size, steps, guidance and sampler on the same device, and take
turns within one run. Easel's time is from the row's commit to the grid's file, ready to be sent: ticket,
claim, drawing with progress and previews, safety check, metadata, saving, delivery row, grid. The pipeline's
is the call of `StableDiffusionPipeline`, its own safety checker included, until the pictures are there.
Processor seconds are those of the whole process: the steadier figure on a machine that others use too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.clock import Stopwatch, Taken
from benchmarks.pipeline import Pipeline
from bot.discord_io import uploads
from generator import devices
from generator.worker.models import Models
from generator.worker.worker import Worker
from storage import jobs, submissions
from storage.backends import Backends
from storage.config import Config
from storage.contract import Action, ChangedEvent, Event, GenerationRequest, JobState
from storage.database import Database
from storage.drafts import JobDraft
from storage.tables import UPLOAD_LIMIT, Address

GOAL = 1.10


class Easel:
    """Database, image store, events and a worker in this process, as `easel run` has them."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._changed = threading.Event()

    def heard(self, event: Event) -> None:
        if isinstance(event, ChangedEvent):
            self._changed.set()

    def draw(self, request: GenerationRequest) -> Taken:
        """From the row to the grid's file."""
        draft = JobDraft(
            Address(1, channel_id=1),
            member_name="benchmark",
            action=Action.IMAGINE,
            text=request.prompt,
            request=request,
            words=request.prompt,
        )
        clock = Stopwatch()
        with self._backends.database.writing() as session:
            job_id = submissions.submit(session, draft).job.id
        self._backends.tickets.send()
        while not self._finished(job_id):
            self._changed.wait(1.0)
            self._changed.clear()
        with self._backends.database.reading() as session:
            job, images = jobs.get(session, job_id), jobs.images_of(session, job_id)
        uploads.grid(self._backends, job, images, "benchmark", UPLOAD_LIMIT)
        return clock.read()

    def _finished(self, job_id: int) -> bool:
        with self._backends.database.reading() as session:
            job = jobs.get(session, job_id)
        state = JobState(job.state)
        if state.finished and state is not JobState.SUCCEEDED:
            raise RuntimeError(f"the job is {state.value}: {job.error_detail}")
        return state.finished


def draw_alone(pipeline: Pipeline, request: GenerationRequest) -> Taken:
    """From the prompt to the pictures."""
    clock = Stopwatch()
    pipeline.draw(request)
    return clock.read()


def open_alone(source: str, device: torch.device) -> Pipeline:
    dtype = devices.dtype(device)
    return Pipeline(StableDiffusionPipeline.from_pretrained(source, dtype=dtype).to(device))


@contextmanager
def working(folder: Path, catalog: Path | None, device: str) -> Iterator[tuple[Easel, Backends, Models]]:
    config = Config(data_dir=folder, catalog=catalog, broker_url=SecretStr("memory://"), device=device)
    with closing(Database(config.database)) as database:
        database.upgrade()
    with (
        closing(Backends.open(config)) as backends,
        closing(Models(backends.catalog, device, "on")) as models,
    ):
        easel = Easel(backends)
        listener = backends.events.listen(easel.heard, lambda: None)
        worker = Worker(backends, models, slots=1, name="benchmark")
        worker.start()
        try:
            yield easel, backends, models
        finally:
            worker.stop()
            listener.stop()


def measure(rounds: int, catalog: Path | None, device: str) -> dict[str, Any]:
    """Times in seconds of both ways, and the ratio of their medians."""
    with (
        tempfile.TemporaryDirectory() as folder,
        working(Path(folder), catalog, device) as (easel, backends, models),
    ):
        entry = backends.catalog[backends.catalog.default]
        pipeline = open_alone(entry.source, models.device)
        times: dict[str, list[Taken]] = {"diffusers": [], "easel": []}
        for number in track(range(rounds + 1), "Drawing", console=Console(stderr=True)):
            request = GenerationRequest(
                model=entry.name,
                prompt=f"a red castle on green hills at night, {number}",
                width=entry.sizes[0][0],
                height=entry.sizes[0][1],
                num_inference_steps=entry.num_inference_steps,
                guidance_scale=entry.guidance_scale,
                scheduler=entry.scheduler,
                seed=number,
            )
            taken = {"diffusers": draw_alone(pipeline, request), "easel": easel.draw(request)}
            if number > 0:  # the first round loads and warms up
                for name, seconds in taken.items():
                    times[name].append(seconds)
        wall = {name: [each.wall for each in taken] for name, taken in times.items()}
        processor = {name: [each.processor for each in taken] for name, taken in times.items()}
        return {
            "model": entry.title,
            "size": list(entry.sizes[0]),
            "steps": entry.num_inference_steps,
            "sampler": entry.scheduler,
            "device": str(models.device),
            "threads": torch.get_num_threads(),
            "rounds": rounds,
            "seconds": wall,
            "processor_seconds": processor,
            "ratio": ratio_of_medians(wall),
            "processor_ratio": ratio_of_medians(processor),
        }


def ratio_of_medians(seconds: Mapping[str, Sequence[float]]) -> float:
    return statistics.median(seconds["easel"]) / statistics.median(seconds["diffusers"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--catalog", type=Path, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    result = measure(arguments.rounds, arguments.catalog, arguments.device)
    table = Table(title=f"{result['model']}, a grid of four, {result['steps']} steps, {result['device']}")
    for heading in ("", "median s", "least s", "most s", "median processor s"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, seconds in result["seconds"].items():
        processor = statistics.median(result["processor_seconds"][name])
        figures = (statistics.median(seconds), min(seconds), max(seconds), processor)
        table.add_row(name, *(f"{figure:.3f}" for figure in figures))
    console = Console()
    console.print(table)
    console.print(f"ratio of medians {result['ratio']:.3f} (goal ≤ {GOAL:.2f})")
    console.print(f"ratio of processor seconds {result['processor_ratio']:.3f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
