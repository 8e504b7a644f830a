"""The UNet's calls, counted and timed where they are made, whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Call(NamedTuple):
    """`begun` is of `time.perf_counter`; ask for `seconds` when the device has finished."""

    begun: float
    rows: int
    timesteps: Tensor
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
        """What happened since `forget` or the last `take`.

        Raises:
            RuntimeError: nothing did: the pictures were drawn by something that nobody listens to.
        """
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        calls, self.calls = self.calls, []
        if not calls:
            raise RuntimeError("the UNet was not called where the benchmark listens")
        return Total(len(calls), sum(call.rows for call in calls), sum(call.seconds() for call in calls))

    def _call(self, latents: Tensor, timesteps: Tensor, *arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        with _timed(self._device) as seconds:
            output = self._function(latents, timesteps, *arguments, **named)
        self.calls.append(Call(begun, len(latents), timesteps, seconds))
        return output


@contextmanager
def _timed(device: torch.device) -> Iterator[Callable[[], float]]:
    """On a card by events in its own queue, because a call returns long before it has been computed."""
    if device.type == "cuda":
        stream = torch.cuda.current_stream(device)
        event: Any = torch.cuda.Event
        begin, end = event(enable_timing=True), event(enable_timing=True)
        begin.record(stream)
        yield lambda: begin.elapsed_time(end) / 1000
        end.record(stream)
        return
    started = time.perf_counter()
    taken: list[float] = []
    yield lambda: taken[0]
    taken.append(time.perf_counter() - started)
