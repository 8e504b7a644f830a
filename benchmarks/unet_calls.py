"""The UNet's calls, counted and timed where they are made, whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generator import devices


class Call(NamedTuple):
    """`asked` and `begun` are of `time.perf_counter`; ask the device's when it has finished."""

    asked: float
    begun: Callable[[], float]
    seconds: Callable[[], float]
    rows: int
    timesteps: Tensor


class _DeviceTimes(NamedTuple):
    """Times of a finished call by the device's clock."""

    begun: Callable[[], float]
    seconds: Callable[[], float]


class Total(NamedTuple):
    calls: int
    rows: int
    seconds: float


class UNetCalls:
    """Listens to `owner.name`, a function of latents and timesteps, and goes on calling it."""

    def __init__(self, owner: Any, name: str, device: torch.device) -> None:
        self.calls: list[Call] = []
        self._function: Callable[..., Any] = getattr(owner, name)
        self._device = device
        setattr(owner, name, self._call)

    def forget(self) -> None:
        self.calls = []

    def take(self) -> Total:
        """Take the calls since `forget` or the last `take`.

        Raises:
            RuntimeError: nothing did: the pictures were drawn by something that nobody listens to.
        """
        self.wait()
        calls, self.calls = self.calls, []
        if not calls:
            raise RuntimeError("the UNet was not called where the benchmark listens")
        return Total(len(calls), sum(call.rows for call in calls), sum(call.seconds() for call in calls))

    def wait(self) -> None:
        """Until the device has finished what it was given."""
        devices.synchronize(self._device)

    def _call(self, latents: Tensor, timesteps: Tensor, *arguments: Any, **named: Any) -> Any:
        asked = time.perf_counter()
        with self._timed() as span:
            output = self._function(latents, timesteps, *arguments, **named)
        self.calls.append(Call(asked, *span, len(latents), timesteps))
        return output

    @contextmanager
    def _timed(self) -> Iterator[_DeviceTimes]:
        """On a GPU by events in its own queue, because a call returns long before it has been computed."""
        if devices.abilities(self._device).events:
            begin, end = self._event(), self._event()
            begin.record(torch.accelerator.current_stream(self._device))
            yield _DeviceTimes(lambda: self._moment(begin), lambda: begin.elapsed_time(end) / 1000)
            end.record(torch.accelerator.current_stream(self._device))
            return
        started = time.perf_counter()
        taken: list[float] = []
        yield _DeviceTimes(lambda: started, lambda: taken[0])
        taken.append(time.perf_counter() - started)

    def _moment(self, event: torch.Event) -> float:
        """The moment at which the GPU passed it, by another event whose moment both clocks know."""
        now = self._event()
        now.record(torch.accelerator.current_stream(self._device))
        now.synchronize()
        return time.perf_counter() - float(event.elapsed_time(now)) / 1000

    def _event(self) -> torch.Event:
        return torch.Event(self._device, enable_timing=True)
