"""Time of the device's work, and the distance by which its thread may run ahead of a GPU."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

import torch

from generator import devices

Tell = Callable[[float], object]


class DeviceClock(Protocol):
    """Only the device's thread uses it."""

    def timed(self, tell: Tell) -> AbstractContextManager[None]:
        """Tell the seconds that the block took, as soon as they are known; nothing where it raises."""

    def keep_pace(self) -> None:
        """Called after every step, be it a tick or a call: wait until the device is at most one behind."""


class HostClock:
    """Work is done when it returns, or has been waited for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @contextmanager
    def timed(self, tell: Tell) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        devices.synchronize(self._device)
        tell(time.perf_counter() - begin)

    def keep_pace(self) -> None:
        pass


class _Span(NamedTuple):
    begin: torch.Event
    end: torch.Event
    tell: Tell


class EventClock:
    """A GPU computes while its thread prepares the next step: its own events say what it took."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: deque[_Span] = deque()
        self._before: torch.Event | None = None

    @contextmanager
    def timed(self, tell: Tell) -> Iterator[None]:
        begin = self._mark()
        yield
        self._spans.append(_Span(begin, self._mark(), tell))

    def keep_pace(self) -> None:
        now = self._mark()
        if self._before is not None:
            self._before.synchronize()
        self._before = now
        while self._spans and self._spans[0].end.query():
            span = self._spans.popleft()
            span.tell(span.begin.elapsed_time(span.end) / 1000)

    def _mark(self) -> torch.Event:
        # Blocking: a thread that spins would take a core from those that encode the pictures.
        event = torch.Event(self._device, enable_timing=True, blocking=True)
        event.record(torch.accelerator.current_stream(self._device))
        return event


def clock_of(device: torch.device) -> DeviceClock:
    return EventClock(device) if devices.abilities(device).events else HostClock(device)
