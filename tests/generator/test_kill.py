"""Worker processes that race and die: every job ends once."""

from __future__ import annotations

import signal
import time
from itertools import pairwise

import pytest

from storage.contract import JobState
from storage.tables import WorkerRow
from tests.generator.working import LEASE_MS, SOME, Place, wait_for

# Each starts a process that loads torch, which takes seconds, and on a busy machine minutes.
pytestmark = pytest.mark.timeout(600)


def ended_once(place: Place, job_id: int, *, attempt: int) -> None:
    """The job's pictures are those of one attempt, in the database and in the store."""
    job = place.wait(job_id)
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, attempt)
    assert [image.attempt for image in place.images(job_id)] == [attempt]
    assert place.files(job_id) == [f"{attempt}-0.png"]


@pytest.mark.exhaustive
def test_two_workers_race_and_every_job_is_done_once(place: Place) -> None:
    ids = [
        place.ask(member=member, num_inference_steps=10, num_images_per_prompt=1)
        for member in range(1, 9)
        for _ in range(2)
    ]
    # Leases that a busy machine does not let lapse: nobody is to be taken for dead here.
    with place.worker_process(lease_ms=30_000, slots=2) as process:
        with place.working(lease_ms=30_000, slots=2, name="here"):
            for job_id in ids:
                ended_once(place, job_id, attempt=1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    with place.backends.database.reading() as session:
        rows = session.query(WorkerRow).all()
        assert len(rows) == 2
        assert all(row.stopped_at is not None for row in rows)


def test_jobs_of_a_killed_worker_end_once_elsewhere_each_alone(place: Place) -> None:
    with place.worker_process(slots=3) as process:
        ids = [place.ask(member=member, **SOME) for member in (1, 2, 3)]
        for job_id in ids:
            place.wait(job_id, JobState.RUNNING)
        process.kill()
        process.wait()
    killed_at = time.monotonic()
    with place.working(slots=3, look_seconds=0.05):
        for job_id in ids:
            ended_once(place, job_id, attempt=2)
    assert time.monotonic() - killed_at > LEASE_MS / 2000, "the lease must have been waited for"
    jobs = sorted(map(place.job, ids), key=lambda job: job.started_at or 0)
    assert [(job.suspect, job.handbacks) for job in jobs] == [(True, 1)] * 3
    for before, after in pairwise(jobs):
        assert (before.finished_at or 0) <= (after.started_at or 0), "one at a time"


@pytest.mark.exhaustive
def test_a_frozen_worker_finds_itself_fenced_and_changes_nothing(on_postgresql: Place) -> None:
    """On PostgreSQL: SQLite's lock may be what the frozen process holds, and nobody can take it away."""
    place = on_postgresql
    with place.worker_process(name="frozen") as process:
        job_id = place.ask(**SOME)
        place.wait(job_id, JobState.RUNNING)
        process.send_signal(signal.SIGSTOP)
        with place.working(name="other"):
            ended_once(place, job_id, attempt=2)
        process.send_signal(signal.SIGCONT)
        # It registers anew once it has found its lease lost, and works on.
        wait_for(lambda: incarnations(place, "frozen") == 2)
        later = place.ask(**SOME)
        ended_once(place, later, attempt=1)
        ended_once(place, job_id, attempt=2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def incarnations(place: Place, name: str) -> int:
    with place.backends.database.reading() as session:
        return session.query(WorkerRow).filter_by(name=name).count()


def test_sigterm_hands_the_job_back_and_ends_in_peace(place: Place) -> None:
    with place.worker_process() as process:
        job_id = place.ask(**SOME)
        place.wait(job_id, JobState.RUNNING)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert time.monotonic() - started < 30
    job = place.job(job_id)
    assert (job.state, job.attempts, job.handbacks) == (JobState.QUEUED, 1, 1)
    with place.backends.database.reading() as session:
        (row,) = session.query(WorkerRow).all()
    assert row.stopped_at is not None
