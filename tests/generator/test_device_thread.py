"""Nobody waits for ever for a device's thread, however it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from generator.device_thread import DeviceThread, EngineClosed
from generator.rows import Job
from storage.contract import GenerationRequest


def job() -> Job:
    return Job(GenerationRequest(model="m", prompt="", width=64, height=64, seed=1))


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

    def admit(self) -> Job:
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
    while len(busy.device._calls) < 7:
        pass
    busy.die(error)
    caller.join(10)
    assert len(answers) == 1
    for each in waiting:
        with pytest.raises((EngineClosed, CancelledError)):
            each.future.result(0)
    with pytest.raises(EngineClosed):
        busy.device.call(lambda: None)


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
