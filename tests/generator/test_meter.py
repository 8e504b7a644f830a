"""What the running batch says of itself while it draws with a real tiny model."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait as wait_for_futures
from pathlib import Path

import pytest
import torch

from generator.engine.clock import EventClock, clock_of
from generator.engine.engine import Engine, Progress
from generator.engine.meter import Meter, MeterReading
from storage.contract import GenerationRequest
from tests.generator.working import wait_for


@pytest.fixture
def engine(sd_folder: Path) -> Iterator[Engine]:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        yield engine


def asked(**wish: object) -> GenerationRequest:
    fields = {"prompt": "a boat", "width": 64, "height": 64, "seed": 5, "num_inference_steps": 3}
    return GenerationRequest.model_validate(fields | wish)


def settled(engine: Engine) -> MeterReading:
    """A reading after the device's thread has nothing left to do."""
    engine.device_thread.call(lambda: None)
    return engine.device_thread.meter.read()


def test_a_job_is_counted_in_ticks_calls_and_rows(engine: Engine) -> None:
    before = engine.device_thread.meter.read()
    assert (before.ticks, before.calls, before.rows, before.busy_seconds) == (0, 0, 0, 0.0)
    engine.submit(asked(num_images_per_prompt=2, guidance_scale=7.0)).result()
    engine.submit(asked(num_images_per_prompt=1, guidance_scale=1.0)).result()
    after = settled(engine)
    assert (after.ticks, after.calls, after.rows) == (6, 6, 3 * 4 + 3 * 1)
    by_bound = dict(zip(after.rows_a_call.bounds, after.rows_a_call.counts, strict=False))
    assert by_bound[4] == 3
    assert by_bound[1] == 3
    assert after.rows_a_call.total == 15


def test_the_network_takes_most_but_not_all_of_the_time(engine: Engine) -> None:
    begin = time.perf_counter()
    engine.submit(asked(num_inference_steps=10)).result()
    after = settled(engine)
    assert 0 < after.network_seconds < after.tick_seconds.total < after.busy_seconds
    assert after.busy_seconds < time.perf_counter() - begin
    assert after.network_seconds > 0.3 * after.busy_seconds


def _sets(event: threading.Event) -> Callable[[Progress], None]:
    return lambda _: event.set()


def test_who_draws_and_who_waits_is_seen_and_forgotten(engine: Engine) -> None:
    request = asked(num_images_per_prompt=4, num_inference_steps=900)
    told = [threading.Event() for _ in range(3)]
    # Eight rows each, sixteen a call: one waits.
    futures = [engine.submit(request, on_progress=_sets(event)) for event in told]
    for event in told:
        assert event.wait(20)
    wait_for(lambda: engine.device_thread.meter.read().running == 2, 10)
    assert engine.device_thread.meter.read().waiting == 1
    for future in futures:
        future.cancel()
    wait_for_futures(futures, 10)
    reading = settled(engine)
    assert (reading.running, reading.waiting) == (0, 0)


def test_a_call_that_was_too_large_is_counted_as_the_smaller_ones_it_became(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = engine.family.predict

    def small_gpu(latents: torch.Tensor, *rest: object) -> torch.Tensor:
        if len(latents) > 4:
            raise torch.OutOfMemoryError("the GPU is full")
        return predict(latents, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(engine.family, "predict", small_gpu)
    engine.submit(asked(num_images_per_prompt=4, guidance_scale=7.0)).result()
    reading = settled(engine)
    assert (reading.ticks, reading.calls, reading.rows) == (3, 6, 24)


def test_weights_count_for_as_long_as_somebody_has_the_model(engine: Engine) -> None:
    meter = engine.device_thread.meter
    memory = meter.read().memory
    assert memory.weights == engine.family.size_bytes
    assert memory.weights < memory.taken <= memory.peak

    class Model:
        pass

    model = Model()
    meter.loaded(model, 1000)
    assert meter.read().memory.weights == memory.weights + 1000
    del model
    gc.collect()
    assert meter.read().memory.weights == memory.weights


def test_a_meter_may_be_fed_and_read_from_many_threads() -> None:
    meter = Meter(torch.device("cpu"))
    readings: list[MeterReading] = []

    def feed() -> None:
        for _ in range(2000):
            meter.called(2, 0.5)

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        readings.append(meter.read())
    last = meter.read()
    assert (last.calls, last.rows, last.network_seconds) == (8000, 16000, 4000.0)
    for reading in readings:
        assert reading.rows == 2 * reading.calls == 4 * reading.network_seconds


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_gpus_clock_tells_the_gpus_time_and_stays_one_step_ahead() -> None:
    device = torch.device("cuda")
    clock = clock_of(device)
    assert isinstance(clock, EventClock)
    told: list[float] = []
    matrix = torch.rand(4096, 4096, device=device)
    torch.cuda.synchronize(device)
    for step in range(5):
        with clock.timed(told.append):
            for _ in range(50):
                matrix = (matrix @ matrix).clamp(0, 1)
        clock.keep_pace()
        assert len(told) >= step
    assert all(seconds > 0.001 for seconds in told)
