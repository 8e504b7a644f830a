"""Workers for tests: real tiny models in a folder, a database, jobs to ask for, and workers as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from generator.engine import running_job
from generator.worker.models import Models
from generator.worker.worker import Worker
from storage import jobs, submissions
from storage.backends import Backends
from storage.config import Config
from storage.contract import Action, Event, GenerationRequest, JobState
from storage.drafts import JobDraft
from storage.tables import Address, Image, Job
from tests.generator import tiny

LEASE_MS = 4000
LONG = 900
"""Steps that no test waits for the end of."""
SOME: dict[str, Any] = {"num_inference_steps": 120, "num_images_per_prompt": 1}
"""A job that lasts long enough to be caught in the middle."""


def make_catalog(folder: Path) -> Path:
    """`plain` passes everything, `strict` withholds everything."""
    plain = tiny.make_sd(folder / "plain")
    strict = tiny.make_sd(folder / "strict")
    tiny.safety_checker(threshold=-1.0).save_pretrained(strict / "safety_checker")
    upscaler = tiny.make_upscaler(folder / "upscaler")
    describer = tiny.make_describer(folder / "describer")
    segmenter = tiny.make_segmenter(folder / "segmenter")
    both = {"plain": plain, "strict": strict}
    return tiny.catalog(
        folder, both, upscaler=upscaler, describer=describer, segmenter=segmenter, max_steps=LONG
    )


class Place:
    """One database and image store, with what a bot and a worker hold of them."""

    def __init__(self, config: Config, models: Models | None = None) -> None:
        self.config = config
        self.backends = Backends.open(config)
        self._own_models = models is None
        self.models = models or Models(self.backends.catalog, "cpu", "on")

    def close(self) -> None:
        if self._own_models:
            self.models.close()
        self.backends.close()

    def ask(
        self, *, member: int = 1, action: Action = Action.IMAGINE, ticket: bool = False, **wish: Any
    ) -> int:
        """Submit a job; `wish` are fields of the request. Returns its id."""
        fields = {
            "model": "plain",
            "prompt": "a red castle",
            "width": 64,
            "height": 64,
            "num_inference_steps": 2,
            "seed": 2**32 - 2,
        }
        request = GenerationRequest(**{**fields, **wish})
        draft = JobDraft(
            Address(member, channel_id=900),
            member_name=f"member {member}",
            action=action,
            text="a red castle",
            words="a red castle",
            request=request,
            parent_image_id=request.parent_image_id,
        )
        with self.backends.database.writing() as session:
            job_id = submissions.submit(session, draft).job.id
        if ticket:
            self.backends.tickets.send()
        return job_id

    def job(self, job_id: int) -> Job:
        with self.backends.database.reading() as session:
            return jobs.get(session, job_id)

    def images(self, job_id: int) -> list[Image]:
        with self.backends.database.reading() as session:
            return jobs.images_of(session, job_id)

    def files(self, job_id: int) -> list[str]:
        return sorted(path.name for path in self.backends.images.folder.glob(f"*/{job_id}/*"))

    def wait(self, job_id: int, *states: JobState, seconds: float = 120.0) -> Job:
        """Wait until the job is in one of `states`, by default in any that is final."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(job_id)
            state = JobState(job.state)
            if state in states or (not states and state.finished):
                return job
            assert time.monotonic() < deadline, f"job {job_id} is still {state} ({job.error_detail})"
            time.sleep(0.02)

    @contextmanager
    def working(self, **options: Any) -> Iterator[Worker]:
        """A worker in this process."""
        worker = Worker(self.backends, self.models, **{"lease_ms": LEASE_MS, **options})
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()

    @contextmanager
    def hearing(self) -> Iterator[list[Event]]:
        """What is said about jobs meanwhile."""
        heard: list[Event] = []
        listener = self.backends.events.listen(heard.append, lambda: None)
        assert listener.wait_ready(10)
        try:
            yield heard
        finally:
            listener.stop()

    @contextmanager
    def worker_process(self, lease_ms: int = LEASE_MS, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A worker as a process of its own, ready to claim."""
        environment = {
            "EASEL_DATABASE_URL": self.config.database,
            "EASEL_BROKER_URL": self.config.broker,
            "EASEL_IMAGES_URL": self.config.images,
            "EASEL_DATA_DIR": str(self.config.data_dir),
            "EASEL_CATALOG": str(self.config.catalog),
        }
        arguments = json.dumps({"lease_ms": lease_ms, **options})
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.generator.working", arguments],
            env=os.environ | environment | {"OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def wait_for(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def main() -> int:
    """What `easel worker` does, with a lease that tests can wait for."""
    place = Place(Config())
    place.models.engine("plain")
    place.models.safety("plain")
    worker = Worker(place.backends, place.models, **json.loads(sys.argv[1]))
    print("ready", flush=True)
    return worker.run_forever()


if __name__ == "__main__":
    sys.exit(main())


def poisoned(monkeypatch: pytest.MonkeyPatch) -> str:
    """A prompt that crashes whatever draws it."""
    start = running_job.RunningJob.start

    def crash(drawing: running_job.RunningJob) -> None:
        if drawing.job.request.prompt == "a crystal ball":
            raise RuntimeError("the crystal ball is empty")
        start(drawing)

    monkeypatch.setattr(running_job.RunningJob, "start", crash)
    return "a crystal ball"
