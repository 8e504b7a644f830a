"""One attempt at one job, from the claim to its end, with real tiny models."""

from __future__ import annotations

import errno
import hashlib
import io
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageChops
import PIL.ImageFilter
import pytest
import torch
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from generator.conditioning import compositing
from generator.engine.device_thread import EngineClosed
from generator.worker import output
from generator.worker.attempt import Attempt, error_code
from generator.worker.progress import Pulse
from generator.worker.room import Room
from storage import attempts, privacy, workers
from storage import database as database_module
from storage.contract import Action, ChangedEvent, ErrorCode, JobState, ProgressEvent, Task
from storage.database import Database
from storage.errors import CatalogError, DataDeleted, ImageMissing, StoreFull
from storage.tables import Delivery, Job
from tests.generator import tiny
from tests.generator.working import LONG, Place, poisoned, wait_for


def attempt_at(place: Place, worker_id: int = 0) -> Attempt:
    """Claim the next job, for a worker of this test's."""
    with place.backends.database.writing() as session:
        worker_id = worker_id or workers.register(session, "test", place.models.names())
        claim = attempts.claim(session, worker_id, place.models.names())
    assert claim is not None
    room = Room(place.backends.images, "test")
    return Attempt(place.backends, place.models, claim, Pulse(), room, threading.Event())


def finished(place: Place, **wish: Any) -> int:
    job_id = place.ask(**wish)
    attempt_at(place).run()
    return job_id


@contextmanager
def running(attempt: Attempt) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=attempt.run)
    thread.start()
    yield thread
    thread.join(60)
    assert not thread.is_alive()


def test_a_job_becomes_pictures(place: Place) -> None:
    with place.hearing() as heard:
        job_id = finished(place)
        wait_for(lambda: any(isinstance(event, ChangedEvent) for event in heard), 5)
    job = place.job(job_id)
    assert job.state == JobState.SUCCEEDED
    assert ChangedEvent(job_id=job_id, sequence=job.sequence) in heard
    assert heard[0] == ProgressEvent(job_id=job_id, attempt=1, fraction=0)
    assert {"queued_ms", "load_ms", "run_ms", "safety_ms", "save_ms"} <= set(job.timings)
    assert all(isinstance(value, int) and value >= 0 for value in job.timings.values())
    images = place.images(job_id)
    assert [image.seed for image in images] == [2**32 - 2, 2**32 - 1, 0, 1]
    for image in images:
        data = place.backends.images.load(image.key)
        assert hashlib.sha256(data).hexdigest() == image.sha256
        assert len(data) == image.size
        assert not image.withheld
        assert PIL.Image.open(io.BytesIO(data)).size == (image.width, image.height) == (64, 64)
        assert output.read_request(data).seed == image.seed


def test_what_the_checker_condemns_is_withheld(place: Place) -> None:
    job_id = finished(place, model="strict")
    assert place.job(job_id).state == JobState.WITHHELD
    assert [image.withheld for image in place.images(job_id)] == [True] * 4


def progress_of(place: Place, count: int, **wish: Any) -> tuple[list[ProgressEvent], float]:
    """The first `count` things said about a long job after its begin, and the seconds they took."""
    place.ask(num_inference_steps=LONG, **wish)
    attempt = attempt_at(place)
    with place.hearing() as heard, running(attempt):
        wait_for(lambda: len(heard) > 0)
        started = time.monotonic()
        wait_for(lambda: len(heard) > count, 60)
        seconds = time.monotonic() - started
        attempt.cancel()
    return [event for event in heard[1 : count + 1] if isinstance(event, ProgressEvent)], seconds


def test_progress_is_told_at_most_once_a_second_with_a_preview(place: Place) -> None:
    told, seconds = progress_of(place, 3, num_images_per_prompt=2)
    assert seconds > 2.8
    fractions = [event.fraction for event in told]
    assert fractions == sorted(set(fractions))
    assert 0 < fractions[0] < fractions[-1] < 1
    assert told[0].preview is not None
    for data in [event.preview for event in told if event.preview is not None]:
        preview = PIL.Image.open(io.BytesIO(data))
        assert preview.format == "WEBP"
        assert preview.width > preview.height, "two pictures side by side"


def test_no_preview_leaves_that_the_checker_condemns(place: Place) -> None:
    told, _ = progress_of(place, 2, model="strict")
    assert len(told) == 2
    assert not any(event.preview for event in told)


def test_a_running_job_can_be_cancelled(place: Place) -> None:
    job_id = place.ask(num_inference_steps=LONG)
    attempt = attempt_at(place)
    with running(attempt):
        wait_for(lambda: attempt.waiting_seconds > 0.1)
        started = time.monotonic()
        attempt.cancel()
    assert time.monotonic() - started < 10
    assert place.job(job_id).state == JobState.CANCELLED
    assert place.files(job_id) == []


def test_a_job_whose_cancel_came_with_the_claim_never_starts(place: Place) -> None:
    job_id = place.ask(num_inference_steps=LONG)
    attempt = attempt_at(place)
    attempt.cancel()
    started = time.monotonic()
    attempt.run()
    assert time.monotonic() - started < 10
    assert place.job(job_id).state == JobState.CANCELLED


def test_whoever_lets_go_writes_nothing(place: Place) -> None:
    job_id = place.ask(num_inference_steps=LONG)
    attempt = attempt_at(place)
    with running(attempt):
        wait_for(lambda: attempt.waiting_seconds > 0.1)
        attempt.release()
    assert place.job(job_id).state == JobState.RUNNING
    assert place.files(job_id) == []


def test_a_stale_attempt_drops_its_pictures(place: Place) -> None:
    job_id = place.ask()
    attempt = attempt_at(place)
    with place.backends.database.writing() as session:
        attempts.requeue(session, job_id, 1)
    attempt.run()
    assert place.job(job_id).state == JobState.QUEUED
    assert place.images(job_id) == []
    assert place.files(job_id) == []
    again = attempt_at(place)
    again.run()
    assert place.job(job_id).state == JobState.SUCCEEDED
    assert place.files(job_id) == [f"2-{index}.png" for index in range(4)]


def test_nothing_is_kept_for_who_deleted_their_data_meanwhile(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = place.ask()
    attempt = attempt_at(place)
    assert privacy.erase(place.backends, 1).jobs == 1
    attempt.run()
    with place.backends.database.reading() as session:
        assert session.get_one(Job, job_id).state == JobState.CANCELLED
    assert place.images(job_id) == []
    assert place.files(job_id) == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


class Forgetful(Database):
    """Commits the first writing after `forget` was set, and then loses the connection before it answers."""

    forget = False

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with super().writing() as session:
            yield session
        if self.forget:
            self.forget = False
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))


def test_pictures_survive_a_commit_whose_answer_was_lost(place: Place) -> None:
    job_id = place.ask()
    attempt = attempt_at(place)
    database = Forgetful(place.config.database)
    place.backends.database.close()
    place.backends.database = database
    database.forget = True
    attempt.run()
    assert not database.forget
    assert place.job(job_id).state == JobState.SUCCEEDED
    assert len(place.files(job_id)) == 4


def test_a_failing_job_is_tried_three_times_and_from_the_second_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (0,))
    job_id = place.ask(prompt=poisoned(monkeypatch))
    alone = []
    for number in (1, 2, 3):
        attempt = attempt_at(place)
        alone.append(attempt.claim.alone)
        assert attempt.claim.attempt == number
        attempt.run()
    assert alone == [False, True, True]
    job = place.job(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, ErrorCode.CRASHED)
    assert job.error_detail is not None
    assert "crystal ball" in job.error_detail
    with place.backends.database.reading() as session:
        assert session.query(Delivery).filter_by(job_id=job_id).count() == 1


def vary(place: Place, parent: int, **wish: Any) -> int:
    """A variation of the parent job's first image."""
    image = place.images(parent)[0]
    fields: dict[str, Any] = {"task": Task.IMAGE_TO_IMAGE, "parent_image_id": image.id, "strength": 0.5}
    return place.ask(action=Action.VARY_SUBTLE, **{**fields, **wish})


def test_a_variation_starts_from_its_parents_picture(place: Place) -> None:
    parent = finished(place)
    job_id = vary(place, parent, num_images_per_prompt=1)
    attempt = attempt_at(place)
    attempt.run()
    (image,) = place.images(job_id)
    originals = [stored(place, each.key) for each in place.images(parent)]
    engine = place.models.engine("plain")
    expected, other = (
        engine.submit(attempt.claim.request, image=original).result()[0] for original in originals[:2]
    )
    assert stored(place, image.key).tobytes() == expected.tobytes()
    assert expected.tobytes() != other.tobytes()


def test_a_part_is_drawn_anew_where_the_stored_mask_is_white(place: Place) -> None:
    parent = finished(place)
    mask = PIL.Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    file = io.BytesIO()
    mask.save(file, "PNG")
    place.backends.images.save("masks/1.png", file.getvalue())
    wish: dict[str, Any] = {"task": Task.INPAINTING, "mask_key": "masks/1.png", "strength": 1.0}
    images = []
    for seed in (1, 2):
        job_id = vary(place, parent, num_images_per_prompt=1, seed=seed, **wish)
        attempt_at(place).run()
        images.append(np.asarray(stored(place, place.images(job_id)[0].key), float))
    change = np.abs(images[0] - images[1]).mean(axis=(0, 2))
    assert change[:32].mean() > 10 * change[48:].mean()


def kept(source: PIL.Image.Image, drawn: PIL.Image.Image, mask: PIL.Image.Image) -> bool:
    """Whether the picture is as it was beyond the mask and its feather, which is not everywhere."""
    black = (
        np.asarray(mask.filter(PIL.ImageFilter.MaxFilter(2 * compositing.soft_feather(mask.size) + 1))) == 0
    )
    assert 0.01 < black.mean() < 0.99
    return bool((np.asarray(source)[black] == np.asarray(drawn)[black]).all())


@pytest.mark.parametrize("painted", [False, True])
def test_a_part_is_drawn_anew_where_words_are_found_and_where_it_was_painted(
    place: Place, painted: bool
) -> None:
    parent = finished(place)
    source = stored(place, place.images(parent)[0].key)
    mask = place.models.segmenter("plain").find(source, "the sky")
    wish: dict[str, Any] = {"task": Task.INPAINTING, "mask_words": "the sky", "strength": 1.0}
    if painted:
        corner = PIL.Image.new("L", (64, 64))
        corner.paste(255, (0, 48, 20, 64))
        file = io.BytesIO()
        corner.save(file, "PNG")
        place.backends.images.save("masks/1.png", file.getvalue())
        wish["mask_key"] = "masks/1.png"
        mask = PIL.ImageChops.lighter(mask, corner)
    job_id = vary(place, parent, num_images_per_prompt=1, seed=5, **wish)
    attempt_at(place).run()
    job = place.job(job_id)
    assert job.state == JobState.SUCCEEDED, job.error_detail
    assert "segment_ms" in job.timings
    drawn = stored(place, place.images(job_id)[0].key)
    assert kept(source, drawn, mask)
    differs = np.abs(np.asarray(source, float) - np.asarray(drawn, float)).mean(-1)
    assert differs[np.asarray(mask) > 0].mean() > 2
    assert not painted or (differs[49:, :19] > 0).mean() > 0.9


@pytest.mark.parametrize(
    ("everything", "code"), [(False, ErrorCode.REGION_NOT_FOUND), (True, ErrorCode.REGION_TOO_LARGE)]
)
def test_words_that_name_nothing_or_nearly_everything_fail_at_once(
    place: Place, tmp_path: Path, everything: bool, code: ErrorCode
) -> None:
    segmenter = tiny.make_segmenter(tmp_path / "segmenter", everything=everything)
    plain = Path(place.backends.catalog["plain"].source)
    file = tiny.catalog(tmp_path, {"plain": plain}, segmenter=segmenter)
    with closing(Place(place.config.model_copy(update={"catalog": file}))) as other:
        parent = finished(other)
        job_id = vary(other, parent, task=Task.INPAINTING, mask_words="the sky")
        attempt_at(other).run()
        job = other.job(job_id)
    assert (job.state, job.error_code, job.attempts) == (JobState.FAILED, code, 1)


def test_without_a_segmenter_words_name_nothing(place: Place, tmp_path: Path) -> None:
    file = tiny.catalog(tmp_path, {"plain": Path(place.backends.catalog["plain"].source)})
    with closing(Place(place.config.model_copy(update={"catalog": file}))) as other:
        parent = finished(other)
        job_id = vary(other, parent, task=Task.INPAINTING, mask_words="the sky")
        attempt_at(other).run()
        job = other.job(job_id)
    assert job.error_code == ErrorCode.MODEL_UNAVAILABLE
    assert "segmenter" in (job.error_detail or "")


def stored(place: Place, key: str) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(place.backends.images.load(key)))


def test_without_its_source_a_variation_fails_at_once(place: Place) -> None:
    parent = finished(place)
    job_id = vary(place, parent)
    place.backends.images.delete(place.images(parent)[0].key)
    attempt_at(place).run()
    job = place.job(job_id)
    assert (job.state, job.error_code, job.attempts) == (JobState.FAILED, ErrorCode.SOURCE_MISSING, 1)


def test_an_upscale_enlarges_the_stored_picture(place: Place) -> None:
    parent = finished(place)
    wish = {"task": Task.UPSCALE, "scale": 4, "width": 256, "height": 256, "num_images_per_prompt": 1}
    job_id = vary(place, parent, **wish)
    attempt_at(place).run()
    assert place.job(job_id).state == JobState.SUCCEEDED
    (image,) = place.images(job_id)
    assert (image.width, image.height) == (256, 256)
    assert PIL.Image.open(io.BytesIO(place.backends.images.load(image.key))).size == (256, 256)


def test_a_full_disk_leaves_no_half_a_grid(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = place.ask()
    save = place.backends.images.save
    saved: list[str] = []

    def fill_up(key: str, data: bytes) -> None:
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(key)
        save(key, data)

    monkeypatch.setattr(place.backends.images, "save", fill_up)
    attempt_at(place).run()
    job = place.job(job_id)
    assert (job.state, job.error_code, job.handbacks) == (JobState.QUEUED, ErrorCode.DISK_FULL, 1)
    assert len(saved) == 2
    assert place.files(job_id) == []


def test_a_disk_that_is_full_elsewhere_counts_on_the_job(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be drawn for ever: the store, which has room, holds up nothing."""

    def full(*_: object) -> list[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x")

    job_id = place.ask()
    monkeypatch.setattr(output, "encode_all", full)
    attempt = attempt_at(place)
    attempt.run()
    job = place.job(job_id)
    assert (job.state, job.error_code, job.handbacks) == (JobState.QUEUED, ErrorCode.DISK_FULL, 0)
    assert attempt._room.look()


@pytest.mark.parametrize("error", [EngineClosed("gone"), torch.AcceleratorError("CUDA error")])
@pytest.mark.parametrize("suspect", [False, True])
def test_a_lost_device_counts_on_who_had_it_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception, suspect: bool
) -> None:
    job_id = place.ask()
    with place.backends.database.writing() as session:
        session.execute(update(Job).values(suspect=suspect))
    attempt = attempt_at(place)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(attempt._work, "make", fail)
    with pytest.raises(EngineClosed):
        attempt.run()
    assert attempt._device_lost.is_set()
    job = place.job(job_id)
    assert (job.state, job.suspect, job.handbacks) == (JobState.QUEUED, True, 0 if suspect else 1)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), ErrorCode.OUT_OF_MEMORY),
        (MemoryError(), ErrorCode.OUT_OF_MEMORY),
        (StoreFull(1), ErrorCode.DISK_FULL),
        (ImageMissing("000000/1/1-0.png"), ErrorCode.SOURCE_MISSING),
        (DataDeleted(1), ErrorCode.SOURCE_MISSING),
        (OSError(errno.ENOSPC, "No space left on device"), ErrorCode.DISK_FULL),
        (OSError(errno.EIO, "Input/output error"), ErrorCode.CRASHED),
        (CatalogError("no such model"), ErrorCode.MODEL_UNAVAILABLE),
        (ZeroDivisionError(), ErrorCode.CRASHED),
    ],
)
def test_every_failure_has_its_reason(error: Exception, code: ErrorCode) -> None:
    assert error_code(error) is code


def test_pictures_survive_a_worker_that_was_frozen_while_it_wrote_them(
    on_postgresql: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than PostgreSQL lets a transaction idle, and for less than a lease."""
    place = on_postgresql
    job_id = place.ask(num_images_per_prompt=1)
    attempt = attempt_at(place)
    monkeypatch.setattr(database_module, "POSTGRES_IDLE_MS", 200)
    place.backends.database.close()
    place.backends.database = Database(place.config.database)
    finish = attempts.finish
    frozen: list[bool] = []

    def freeze(*arguments: Any) -> Job:
        job = finish(*arguments)
        if not frozen:
            frozen.append(True)
            time.sleep(0.6)
        return job

    monkeypatch.setattr(attempts, "finish", freeze)
    attempt.run()
    assert frozen
    assert place.job(job_id).state == JobState.SUCCEEDED
    assert len(place.images(job_id)) == len(place.files(job_id)) == 1
