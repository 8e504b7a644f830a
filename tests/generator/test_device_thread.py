"""Nobody waits for ever for a device's thread, however it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from generator.engine.device_thread import DeviceThread, EngineClosed
from generator.engine.engine import Engine
from generator.engine.running_job import DrawRequest
from generator.families.auxiliary import reading
from storage.contract import GenerationRequest
from storage.errors import CatalogError


def job() -> DrawRequest:
    return DrawRequest(GenerationRequest(model="m", prompt="", width=64, height=64, seed=1))


class Busy:
    """A device's thread in the middle of a call, which then ends it with `error`."""

    def __init__(self) -> None:
        self.device = DeviceThread(torch.device("cpu"))
        self._go = threading.Event()
        self._begun = threading.Event()
        self.error: BaseException | None = None
        self.device._post(self._hold, lambda _: None)
        assert self._begun.wait(10)

    def _hold(self) -> None:
        self._begun.set()
        self._go.wait()
        if self.error is not None:
            raise self.error

    def admit(self) -> DrawRequest:
        admitted = job()
        rows: Any = SimpleNamespace(job=admitted)
        self.device.admit(rows)
        return admitted

    def die(self, error: BaseException) -> None:
        self.error = error
        self._go.set()
        self.device._thread.join(10)
        assert not self.device._thread.is_alive()


@pytest.fixture
def busy() -> Busy:
    return Busy()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(), torch.OutOfMemoryError()])
def test_everybody_hears_of_its_end(busy: Busy, error: BaseException) -> None:
    """Though one future is just being told something else, and one was cancelled and told so."""
    waiting = [busy.admit() for _ in range(2)]
    finishing, dropped = busy.admit(), busy.admit()
    assert finishing.future.set_running_or_notify_cancel()
    dropped.drop()
    waiting += [busy.admit() for _ in range(2)]
    answers: list[BaseException] = []

    def call() -> None:
        try:
            busy.device.call(lambda: None)
        except EngineClosed as closed:
            answers.append(closed)

    caller = threading.Thread(target=call)
    caller.start()
    while len(busy.device._calls) < 8:
        pass
    busy.die(error)
    caller.join(10)
    assert len(answers) == 1
    for each in waiting:
        with pytest.raises((EngineClosed, CancelledError)):
            each.future.result(0)
    with pytest.raises(EngineClosed):
        busy.device.call(lambda: None)


def ended(device: DeviceThread, ask: Callable[[], object]) -> bool:
    """Whether who waits for `ask` is told that the device's thread has ended, which it has."""
    answers: list[object] = []

    def wait() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001  looked at below
            answers.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(10)
    device._thread.join(10)
    (answer,) = answers
    return isinstance(answer, (EngineClosed, CancelledError)) and not device._thread.is_alive()


@pytest.mark.parametrize("entered", [True, False])
def test_a_call_is_told_when_the_device_fails_around_it(
    monkeypatch: pytest.MonkeyPatch, entered: bool
) -> None:
    """As where an event cannot be recorded on a card, before the call or behind it."""
    device = DeviceThread(torch.device("cpu"))

    class Faulty:
        keep_pace = staticmethod(lambda: None)

        @contextmanager
        def timed(self, tell: Any) -> Iterator[None]:
            if tell is told:
                if entered:
                    yield
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            yield

    def told(_: float) -> None:
        raise AssertionError

    monkeypatch.setattr(device, "_clock", Faulty())
    if entered:
        assert device.call(lambda: 1, told) == 1
        device._thread.join(10)
        assert not device._thread.is_alive()
    else:
        assert ended(device, lambda: device.call(lambda: 1, told))


FAULT = torch.AcceleratorError("CUDA error: device-side assert triggered")


def fault(*_: Any, **__: Any) -> Any:
    raise FAULT


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), FAULT])
def test_a_call_that_ends_the_thread_is_told(error: BaseException) -> None:
    device = DeviceThread(torch.device("cpu"))

    def end() -> None:
        raise error

    assert ended(device, lambda: device.call(end))


@pytest.mark.parametrize("part", ["predict", "decode", "conditions", "prompts.prepare", "schedulers.step"])
def test_a_fault_of_the_device_ends_it_for_everybody(
    sd_folder: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    request = GenerationRequest(prompt="a fox", width=64, height=64, seed=1, num_inference_steps=400)
    with Engine.open(str(sd_folder), device="cpu") as engine:
        bystander, steps = engine.submit(request), 2
        if part == "schedulers.step":
            monkeypatch.setattr("generator.engine.running_job.RunningJob._step", fault)
        else:
            *owner, name = part.split(".")
            place: Any = getattr(engine.family, owner[0]) if owner else engine.family
            monkeypatch.setattr(place, name, fault)
        job = engine.submit(request.changed(num_inference_steps=steps))
        assert ended(engine.device_thread, lambda: job.result(10))
        assert ended(engine.device_thread, lambda: bystander.result(10))


def test_a_fault_of_the_device_is_not_said_to_be_a_files() -> None:
    with pytest.raises(torch.AcceleratorError), reading("upscaler", "some/folder"):
        raise FAULT
    with pytest.raises(CatalogError), reading("upscaler", "some/folder"):
        raise RuntimeError("damaged")


def test_a_trace_that_cannot_be_written_stops_nobodys_answer(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = busy.admit()
    monkeypatch.setattr(busy.device, "_trace", SimpleNamespace(end=lambda: 1 / 0))
    busy.die(ZeroDivisionError())
    with pytest.raises((EngineClosed, CancelledError)):
        waiting.future.result(0)


@pytest.mark.parametrize("first", ["succeed", "fail", "drop"])
@pytest.mark.parametrize("then", ["succeed", "fail", "drop"])
def test_a_jobs_end_is_told_once_whoever_comes_first(first: str, then: str) -> None:
    told = job()
    ends: dict[str, Callable[[], None]] = {
        "succeed": partial(told.succeed, []),
        "fail": partial(told.fail, ValueError()),
        "drop": told.drop,
    }
    ends[first]()
    ends[then]()
    assert told.future.done()
    assert told.future.cancelled() == (first == "drop")
