"""What a worker would do, by hand and at once: for tests of what comes before and after the drawing."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection
from typing import Any

from PIL import Image as PilImage

from storage import attempts, jobs, workers
from storage.attempts import Claim
from storage.backends import Backends
from storage.contract import ChangedEvent, ErrorCode, GenerationRequest
from storage.drafts import ImageDraft
from storage.images import key_for
from storage.tables import Image, Job

COLOURS = ("crimson", "seagreen", "royalblue", "gold")


def claim(backends: Backends) -> Claim:
    """Take the next waiting job, as a worker that serves every model."""
    with backends.database.writing() as session:
        worker = workers.register(session, "by hand", list(backends.catalog.models))
        taken = attempts.claim(session, worker, list(backends.catalog.models))
    assert taken is not None
    return taken


def finish(backends: Backends, taken: Claim, withheld: Collection[int] = (), *, noise: bool = False) -> Job:
    """Plain coloured pictures in the size that was asked for; those in `withheld` fail the safety check.

    `noise` does not compress: the files are large.
    """
    request = taken.request
    pictures = []
    for index in range(request.num_images_per_prompt):
        data = _png(request, index, noise=noise)
        key = key_for(taken.job_id, taken.attempt, index)
        backends.images.save(key, data)
        pictures.append(
            ImageDraft(
                index=index,
                seed=request.seed_of(index),
                width=request.width,
                height=request.height,
                key=key,
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                safety_scores={},
                withheld=index in withheld,
            )
        )
    with backends.database.writing() as session:
        job = attempts.finish(session, taken.job_id, taken.attempt, pictures, {})
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    return job


def _png(request: GenerationRequest, index: int, *, noise: bool) -> bytes:
    out = io.BytesIO()
    size = (request.width, request.height)
    image = PilImage.effect_noise(size, 90) if noise else PilImage.new("RGB", size, COLOURS[index])
    image.convert("RGB").save(out, "PNG")
    return out.getvalue()


def draw(backends: Backends, withheld: Collection[int] = ()) -> Job:
    """Claim the next job and finish it."""
    return finish(backends, claim(backends), withheld)


def find(backends: Backends, **words: Any) -> Job:
    """Claim the next job, which draws nothing, and finish it with these words."""
    taken = claim(backends)
    assert not taken.request.task.draws
    with backends.database.writing() as session:
        job = attempts.finish(session, taken.job_id, taken.attempt, [], {}, words)
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    return job


def stop(backends: Backends, taken: Claim) -> Job:
    """End an attempt whose job was cancelled."""
    with backends.database.writing() as session:
        job = attempts.stopped(session, taken.job_id, taken.attempt)
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    return job


def fail(backends: Backends, code: ErrorCode = ErrorCode.OUT_OF_MEMORY) -> Job:
    """Claim the next job and let it fail for good."""
    taken = claim(backends)
    with backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, code, "by hand", retry=False)
        job = jobs.get(session, taken.job_id)
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    return job


def images(backends: Backends, job_id: int) -> list[Image]:
    with backends.database.reading() as session:
        return jobs.images_of(session, job_id)
