"""A worker in this process: woken, cancelled, stopped, without a broker, and with a device that fails it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from pydantic import SecretStr
from torch import Tensor

from generator.worker import room
from generator.worker.models import Models
from generator.worker.results import Results
from storage import attempts, removals, states
from storage.config import Config
from storage.contract import Action, CancelEvent, ChangedEvent, ErrorCode, JobState, Task
from tests.brokers import OwnBroker, free_port
from tests.generator.working import LONG, SOME, Place, poisoned, wait_for

PlaceAt = Callable[[str], Place]
POISONOUS_ROWS = 8


@pytest.fixture
def place_at(config: Config, models: Models) -> Iterator[PlaceAt]:
    """Places on the same data with a broker of the test's choice; closed in the end."""
    opened: list[Place] = []

    def open_(broker_url: str) -> Place:
        opened.append(Place(config.model_copy(update={"broker_url": SecretStr(broker_url)}), models))
        return opened[-1]

    yield open_
    for place in opened:
        place.close()


def test_a_ticket_starts_a_job_at_once(broker_url: str, place_at: PlaceAt) -> None:
    place = place_at(broker_url)
    bot = place_at(broker_url)
    place.models.engine("plain")
    with place.working(look_seconds=600) as worker:
        assert worker._tickets is not None
        assert worker._tickets.wait_ready(30)
        for _ in range(3):
            assert place.wait(bot.ask(ticket=True)).state == JobState.SUCCEEDED
            time.sleep(0.3)


def test_without_a_broker_jobs_are_found_all_the_same(place_at: PlaceAt) -> None:
    place = place_at(f"redis://127.0.0.1:{free_port()}/0")
    place.models.engine("plain")
    with place.working():
        assert place.wait(place.ask(ticket=True)).state == JobState.SUCCEEDED


def test_the_broker_may_die_and_come_back_while_jobs_run(own_redis: OwnBroker, place_at: PlaceAt) -> None:
    place = place_at(own_redis.url)
    with place.working() as worker:
        assert worker._tickets is not None
        assert worker._tickets.wait_ready(10)
        job_id = place.ask(**SOME, ticket=True)
        place.wait(job_id, JobState.RUNNING)
        own_redis.kill()
        second = place.ask(ticket=True)
        own_redis.start()
        assert place.wait(second).state == JobState.SUCCEEDED
        assert place.wait(job_id).state == JobState.SUCCEEDED


def test_slots_run_side_by_side(place: Place) -> None:
    with place.working(slots=2):
        ids = [place.ask(member=member, **SOME) for member in (1, 2, 3)]
        wait_for(lambda: sum(place.job(each).state == JobState.RUNNING for each in ids) == 2)
        assert [place.wait(each).state for each in ids] == [JobState.SUCCEEDED] * 3


def test_cancel_by_event_is_immediate(place: Place) -> None:
    with place.working(lease_ms=60_000) as worker:
        job_id = place.ask(num_inference_steps=LONG, ticket=True)
        place.wait(job_id, JobState.RUNNING)
        assert worker._events is not None
        assert worker._events.wait_ready(5)
        with place.backends.database.writing() as session:
            assert states.cancel(session, job_id) == JobState.RUNNING
        started = time.monotonic()
        place.backends.events.publish(CancelEvent(job_id=job_id))
        assert place.wait(job_id).state == JobState.CANCELLED
        assert time.monotonic() - started < 10


def test_cancel_reaches_a_worker_that_hears_no_events(place: Place) -> None:
    with place.working():
        job_id = place.ask(num_inference_steps=LONG)
        place.wait(job_id, JobState.RUNNING)
        with place.backends.database.writing() as session:
            states.cancel(session, job_id)
        assert place.wait(job_id).state == JobState.CANCELLED


def test_an_event_alone_cancels_nothing(place: Place) -> None:
    with place.working():
        job_id = place.ask(**SOME)
        place.wait(job_id, JobState.RUNNING)
        place.backends.events.publish(CancelEvent(job_id=job_id))
        assert place.wait(job_id).state == JobState.SUCCEEDED


def test_a_stopping_worker_hands_back_within_seconds(place: Place) -> None:
    with place.hearing() as heard:
        with place.working():
            job_id = place.ask(**SOME)
            place.wait(job_id, JobState.RUNNING)
            started = time.monotonic()
        assert time.monotonic() - started < 20
        job = place.job(job_id)
        assert (job.state, job.attempts, job.handbacks) == (JobState.QUEUED, 1, 1)
        wait_for(lambda: ChangedEvent(job_id=job_id, sequence=job.sequence) in heard, 5)
    with place.working():
        assert place.wait(job_id).state == JobState.SUCCEEDED
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("worker", "job"))]


def test_a_poison_job_fails_with_a_reason_and_others_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (100,))
    with place.working():
        poison = place.ask(prompt=poisoned(monkeypatch))
        others = [place.ask(member=2, **SOME) for _ in range(2)]
        job = place.wait(poison)
        assert (job.state, job.error_code, job.attempts) == (JobState.FAILED, ErrorCode.CRASHED, 3)
        assert [place.wait(each).state for each in others] == [JobState.SUCCEEDED] * 2


def test_a_movie_of_what_was_deleted_while_it_was_made_is_in_no_file(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_movie = Results.save_movie

    def and_the_picture_goes(results: Results, data: bytes) -> str:
        with place.backends.database.writing() as session:
            removals.remove(session, first)
        return save_movie(results, data)

    with place.working():
        first = place.ask()
        place.wait(first)
        image_id = place.images(first)[0].id
        shown: dict[str, Any] = {"task": Task.IMAGE_TO_IMAGE, "parent_image_id": image_id, "video": True}
        kept = place.wait(place.ask(action=Action.VARY_STRONG, **shown))
        monkeypatch.setattr(Results, "save_movie", and_the_picture_goes)
        varied = place.wait(place.ask(action=Action.VARY_STRONG, **shown))
    assert kept.movie_key is not None
    assert (varied.state, varied.movie_key) == (JobState.SUCCEEDED, None)
    assert len(place.files(varied.id)) == 4
    assert len(place.files(kept.id)) == 5


def test_a_hung_device_loses_its_jobs(place: Place, config: Config) -> None:
    healthy, place = place, Place(config)
    stuck = threading.Event()
    with place.working(lease_ms=1000, hang_seconds=0.5):
        job_id = place.ask(**SOME)
        place.wait(job_id, JobState.RUNNING)
        hang(place.models, stuck)
        try:
            with healthy.working(lease_ms=1000):
                job = healthy.wait(job_id)
                assert (job.state, job.attempts) == (JobState.SUCCEEDED, 2)
        finally:
            stuck.set()
        # Awake again, it finds itself fenced, and then works on as a new worker.
        assert place.wait(place.ask(member=2)).state == JobState.SUCCEEDED
        assert {name.split("-")[0] for name in place.files(job_id)} == {"2"}
    place.close()


def hang(models: Models, until: threading.Event) -> None:
    """Let the device's thread do nothing."""
    device = models.engine("plain").device_thread
    threading.Thread(target=device.call, args=(until.wait,), daemon=True).start()


def test_a_dead_engine_ends_the_worker_but_not_the_job(place: Place, config: Config) -> None:
    other, place = place, Place(config)
    with place.working() as worker:
        job_id = place.ask(**SOME)
        place.wait(job_id, JobState.RUNNING)
        place.models.engine("plain").close()
        assert worker.broken.wait(5)
        assert place.wait(job_id, JobState.QUEUED).error_code == ErrorCode.CRASHED
        time.sleep(1.5)
        assert place.job(job_id).attempts == 1, "a broken worker claims no more"
    with other.working():
        assert other.wait(job_id).state == JobState.SUCCEEDED
    place.close()


def test_a_fault_of_the_device_is_nobodys_until_a_job_ran_alone(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an illegal access or a failed assertion a GPU raises the same at everything it is asked."""
    place = Place(config)
    engine = place.models.engine("plain")
    predict, lost = engine.family.predict, threading.Event()

    def assert_in_kernel(latents: Tensor, *inputs: Any) -> Tensor:
        if len(latents) >= POISONOUS_ROWS:
            lost.set()
        if lost.is_set():
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        return predict(latents, *inputs)

    monkeypatch.setattr(engine.family, "predict", assert_in_kernel)
    with place.working(slots=3) as worker:
        innocents = [place.ask(member=member, **SOME | {"num_inference_steps": LONG}) for member in (1, 2)]
        for each in innocents:
            place.wait(each, JobState.RUNNING)
        poison = place.ask(member=3, num_inference_steps=LONG, num_images_per_prompt=4)
        assert worker.broken.wait(30)
        for each in (*innocents, poison):
            job = place.wait(each, JobState.QUEUED)
            assert (job.attempts, job.handbacks, job.suspect) == (1, 1, True)
    place.close()


def test_a_claim_whose_answer_was_lost_is_given_up(place: Place) -> None:
    with place.working() as worker:
        with worker._claiming:
            job_id = place.ask()
            with place.backends.database.writing() as session:
                assert attempts.claim(session, worker._worker_id, place.models.names()) is not None
        job = place.wait(job_id)
        assert (job.state, job.attempts) == (JobState.SUCCEEDED, 2)


def test_a_job_that_the_system_has_no_thread_for_goes_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(room.PAUSES, room.MEMORY, (0.2,))
    start = threading.Thread.start
    refused: list[str] = []

    def scarce(thread: threading.Thread) -> None:
        if thread.name.startswith("job ") and len(refused) < 2:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    with place.working(slots=1, look_seconds=0.05):
        job = place.wait(place.ask())
    assert (job.state, job.attempts, job.handbacks) == (JobState.SUCCEEDED, 3, 2)
