"""Jobs among strangers: nobody's picture, error or cancel is anybody else's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import wait as wait_for_futures
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from torch import Tensor

from generator.engine.device_thread import EngineClosed
from generator.engine.engine import Engine, Progress
from generator.families import loading, schedulers
from generator.families.base import Conditions
from storage.contract import GenerationRequest, Task
from storage.errors import SamplerUnavailable
from tests.generator.reference import difference

LONG = 200


@pytest.fixture(scope="module")
def engine(sd_folder: Path) -> Iterator[Engine]:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        yield engine


def asked(**wish: object) -> GenerationRequest:
    fields = {
        "prompt": "a red castle",
        "width": 64,
        "height": 64,
        "seed": 5,
        "num_inference_steps": 3,
        "num_images_per_prompt": 1,
    }
    return GenerationRequest.model_validate(fields | wish)


class Calls:
    """Sees every UNet call of an engine; can hold them up, and make some of them fail."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.before: Callable[[Tensor, Conditions], object] = lambda *_: None
        self._predict = engine.family.predict
        monkeypatch.setattr(engine.family, "predict", self._seen)

    def _seen(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        assert self.go_on.wait(20)
        self.rows.append(len(latents))
        self.before(latents, conditions)
        return self._predict(latents, timesteps, conditions)


@pytest.fixture
def calls(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(engine, monkeypatch)


def together(engine: Engine, calls: Calls, requests: list[GenerationRequest], **options: Any) -> list[Any]:
    """Submit all before the first UNet call; returns each job's pictures or error."""
    calls.go_on.clear()
    futures = [engine.submit(request, **options) for request in requests]
    # The first one may begin without the others; they share every later call.
    time.sleep(0.05)
    calls.go_on.set()
    wait_for_futures(futures, 60)
    return [future.exception() or future.result() for future in futures]


def test_jobs_share_a_call_and_leave_it_when_done(engine: Engine, calls: Calls) -> None:
    requests = [
        asked(num_inference_steps=8, guidance_scale=1.0),
        asked(num_inference_steps=4, guidance_scale=7.0),
        asked(num_inference_steps=4, num_images_per_prompt=3, guidance_scale=7.0),
    ]
    together(engine, calls, requests)
    assert max(calls.rows) == 1 + 2 + 6, "guidance of 1 takes one row, more takes two"
    assert sum(calls.rows) == 8 + 4 * 2 + 4 * 6
    assert calls.rows[-1] == 1
    assert len(calls.rows) < 16, "they did not run one after another"


def test_a_job_that_is_to_run_alone_shares_no_call(engine: Engine, calls: Calls) -> None:
    calls.go_on.clear()
    futures = [engine.submit(asked(guidance_scale=1.0, num_inference_steps=6)) for _ in range(3)]
    futures.append(engine.submit(asked(guidance_scale=5.0, num_inference_steps=6), alone=True))
    time.sleep(0.05)
    calls.go_on.set()
    wait_for_futures(futures, 60)
    assert calls.rows.count(2) >= 6
    assert all(rows in (1, 2, 3) for rows in calls.rows)
    assert sum(calls.rows) == 3 * 6 + 2 * 6


def test_two_sizes_take_turns(engine: Engine, calls: Calls) -> None:
    seen: list[int] = []
    calls.before = lambda latents, _: seen.append(latents.shape[-1])
    together(
        engine,
        calls,
        [asked(num_inference_steps=10), asked(width=96, num_inference_steps=10)],
    )
    assert {8, 12} <= set(seen[2:6])
    # Turns go by work done: of the first ten the larger picture gets four.
    assert 3 <= seen[:10].count(12) <= 5


def test_two_models_take_turns_by_their_work(
    engine: Engine, sdxl_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xl = Engine(loading.load(str(sdxl_folder), torch.device("cpu")), engine.device_thread)
    pair = (engine, xl)
    both = [Calls(each, monkeypatch) for each in pair]
    seen: list[int] = []
    for index, calls in enumerate(both):
        calls.before = lambda *_, index=index: seen.append(index)
    futures = engine.device_thread.call(lambda: [each.submit(asked(num_inference_steps=40)) for each in pair])
    wait_for_futures(futures, 60)
    begun = max(seen.index(0), seen.index(1))
    shared = seen[begun : begun + 30]
    works = [each.family.work_per_row(64) for each in pair]
    assert works[1] > 1.3 * works[0], "they differ enough to see it"
    done = [work * shared.count(index) for index, work in enumerate(works)]
    assert abs(done[0] - done[1]) <= 2 * max(works)


def test_more_rows_than_fit_take_turns(engine: Engine, calls: Calls) -> None:
    requests = [asked(num_images_per_prompt=4, num_inference_steps=4, seed=seed) for seed in range(5)]
    results = together(engine, calls, requests)
    assert max(calls.rows) <= 16
    for request, images in zip(requests, results, strict=True):
        assert difference(images, engine.submit(request).result()) <= 1


def test_cancel_takes_effect_at_the_next_tick_and_touches_nobody_else(engine: Engine, calls: Calls) -> None:
    told = threading.Event()
    future = engine.submit(asked(num_inference_steps=LONG), on_progress=lambda _: told.set())
    other = engine.submit(asked(num_inference_steps=12))
    assert told.wait(10)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    done, _ = wait_for_futures([future], 5)
    assert done, "those who wait for several futures are told too"
    images = other.result()
    assert len(calls.rows) < LONG
    assert difference(images, engine.submit(asked(num_inference_steps=12)).result()) <= 1


def test_a_finished_job_cannot_be_cancelled(engine: Engine) -> None:
    future = engine.submit(asked())
    future.result()
    assert not future.cancel()


def test_an_error_in_one_job_is_that_jobs_alone(engine: Engine, calls: Calls) -> None:
    poisoned = engine.family.prompts["poison"].tokens

    def fail(latents: Tensor, conditions: Conditions) -> None:
        tokens = conditions["encoder_hidden_states"]
        if any(torch.equal(row, poisoned[0]) for row in tokens):
            raise RuntimeError("poison")

    calls.before = fail
    requests = [asked(num_inference_steps=6), asked(prompt="poison"), asked(num_inference_steps=7)]
    first, second, third = together(engine, calls, requests)
    assert isinstance(second, RuntimeError)
    calls.before = lambda *_: None
    assert difference(first, engine.submit(requests[0]).result()) <= 1
    assert difference(third, engine.submit(requests[2]).result()) <= 1


def test_an_error_in_one_scheduler_is_that_jobs_alone(
    engine: Engine, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ArithmeticError("the step failed")

    monkeypatch.setattr(schedulers.TABLE["unipc"].scheduler, "step", broken)
    good, bad = together(engine, calls, [asked(scheduler="ddim"), asked(scheduler="unipc")])
    assert isinstance(bad, ArithmeticError)
    assert len(good) == 1


def test_pictures_without_finite_numbers_are_a_failure(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = engine.family.decode
    monkeypatch.setattr(engine.family, "decode", lambda latents: decode(latents) * float("nan"))
    with pytest.raises(ArithmeticError, match="black"):
        engine.submit(asked()).result()


def test_out_of_memory_makes_smaller_calls_and_loses_nothing(engine: Engine, calls: Calls) -> None:
    requests = [asked(num_images_per_prompt=4, seed=seed, num_inference_steps=4) for seed in (1, 2)]
    expected = [engine.submit(request).result() for request in requests]
    calls.rows.clear()

    def no_memory(latents: Tensor, conditions: Conditions) -> None:
        if len(latents) > 3:
            raise torch.OutOfMemoryError("the GPU is full")

    calls.before = no_memory
    results = together(engine, calls, requests)
    assert set(calls.rows[-4:]) <= {1, 2, 3}
    for some, others in zip(results, expected, strict=True):
        assert difference(some, others) <= 1


def test_a_row_that_never_fits_fails_its_job_only(engine: Engine, calls: Calls) -> None:
    huge = engine.family.prompts["huge"].tokens

    def no_memory(latents: Tensor, conditions: Conditions) -> None:
        if any(torch.equal(row, huge[0]) for row in conditions["encoder_hidden_states"]):
            raise torch.OutOfMemoryError("the GPU is full")

    calls.before = no_memory
    good, bad = together(engine, calls, [asked(num_inference_steps=5), asked(prompt="huge")])
    assert isinstance(bad, torch.OutOfMemoryError)
    assert len(good) == 1


def test_after_a_shortage_a_long_batch_grows_again(engine: Engine, calls: Calls) -> None:
    def no_memory(latents: Tensor, _: Conditions) -> None:
        if len(calls.rows) < 3:
            raise torch.OutOfMemoryError("the GPU is full")

    calls.before = no_memory
    together(engine, calls, [asked(num_images_per_prompt=4, num_inference_steps=90)])
    assert min(calls.rows) == 2
    assert calls.rows[-1] == 8


def test_after_a_shortage_the_next_batch_starts_large_again(engine: Engine, calls: Calls) -> None:
    together(engine, calls, [asked(num_images_per_prompt=4)])
    assert max(calls.rows) == 8


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"scheduler": "ouler"}, "cannot draw with 'ouler', but with ddim"),
        ({"width": 60}, "60×64 is not a multiple of 8"),
        ({"task": Task.IMAGE_TO_IMAGE, "parent_image_id": 1}, "needs a picture"),
        ({"task": Task.UPSCALE, "parent_image_id": 1}, "not drawn"),
    ],
)
def test_a_wish_that_cannot_be_is_the_futures_error(
    engine: Engine, wish: dict[str, object], sentence: str
) -> None:
    with pytest.raises((ValueError, SamplerUnavailable), match=sentence):
        engine.submit(asked(**wish)).result()


@pytest.mark.parametrize(("sampler", "count"), [("ddim", 5), ("heun", 9), ("pndm", 6), ("kdpm2", 9)])
def test_progress_counts_unet_calls(engine: Engine, calls: Calls, sampler: str, count: int) -> None:
    told: list[float] = []
    request = asked(scheduler=sampler, num_inference_steps=5)
    engine.submit(request, on_progress=lambda step: told.append(step.fraction)).result()
    assert told == [pytest.approx(call / count) for call in range(1, count + 1)]
    assert len(calls.rows) == count


def test_a_callback_that_fails_stops_nothing(engine: Engine) -> None:
    def fail(step: Progress) -> None:
        raise RuntimeError("not my day")

    assert len(engine.submit(asked(), on_progress=fail).result()) == 1


def test_a_preview_is_small_forms_and_is_made_elsewhere(engine: Engine) -> None:
    steps: list[Progress] = []
    request = asked(num_images_per_prompt=2, num_inference_steps=6)
    final = engine.submit(request, on_progress=steps.append).result()
    assert steps[0].preview is not None
    assert steps[-1].preview is not None
    first, last = steps[0].preview(), steps[-1].preview()
    assert [image.size for image in last] == [(32, 32)] * 2
    assert difference(first, last) > 10
    assert all(isinstance(image, PIL.Image.Image) for image in final)


def test_closing_cancels_what_runs_and_refuses_what_comes(sd_folder: Path) -> None:
    engine = Engine.open(str(sd_folder), device="cpu")
    told = threading.Event()
    future = engine.submit(asked(num_inference_steps=LONG), on_progress=lambda _: told.set())
    assert engine.busy
    assert told.wait(10)
    engine.close()
    assert future.cancelled()
    assert not engine.busy
    with pytest.raises(EngineClosed):
        engine.submit(asked()).result()
    with pytest.raises(EngineClosed):
        engine.device_thread.call(lambda: 1)


def test_the_death_of_the_devices_thread_is_told_to_everybody(
    sd_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        monkeypatch.setattr("generator.engine.batch_group.BatchGroup.drop_cancelled", lambda _: 1 / 0)
        future = engine.submit(asked())
        with pytest.raises((CancelledError, EngineClosed)):
            future.result(20)
        with pytest.raises(EngineClosed, match="division"):
            engine.submit(asked()).result(20)
    assert "the device's thread died" in caplog.text
