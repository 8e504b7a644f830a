"""Counters of the running batch: the device's thread feeds them, anybody may read them."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from generator import devices

ROWS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)
TICK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Histogram:
    """Counts of values that were at most each of `bounds`, the last count being of those beyond; their
    total.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Memory:
    """Bytes. On a GPU `taken` is what torch has allocated there, elsewhere what the process has resident."""

    weights: int
    taken: int
    peak: int


@dataclass(frozen=True)
class MeterReading:
    """Everything since the start, and how it is now. A GPU's figures are one step late."""

    rows_a_call: Histogram
    tick_seconds: Histogram
    running: int
    """Jobs that were in the last UNet call and go on."""
    waiting: int
    """Jobs in the batch that found no room in it."""
    busy_seconds: float
    """For how long the device's thread had work."""
    network_seconds: float
    """For how long the UNet computed."""
    memory: Memory

    @property
    def ticks(self) -> int:
        return self.tick_seconds.count

    @property
    def calls(self) -> int:
        return self.rows_a_call.count

    @property
    def rows(self) -> int:
        return round(self.rows_a_call.total)


class _Counts:
    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> Histogram:
        return Histogram(self._bounds, tuple(self._counts), self._total)


class Meter:
    """Adding costs the tick some microseconds; what is slow to find out is asked for by `read`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._rows = _Counts(ROWS)
        self._ticks = _Counts(TICK_SECONDS)
        self._running = self._waiting = 0
        self._busy = self._network = 0.0
        self._weights: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def loaded(self, model: object, size_bytes: int) -> None:
        """Count a model's weights for as long as anybody holds it."""
        with self._lock:
            self._weights[model] = size_bytes

    def called(self, rows: int, seconds: float) -> None:
        """The UNet was called once."""
        with self._lock:
            self._rows.add(rows)
            self._network += seconds

    def ticked(self, seconds: float) -> None:
        with self._lock:
            self._ticks.add(seconds)

    def worked(self, seconds: float) -> None:
        """The device's thread had something to do for so long."""
        with self._lock:
            self._busy += seconds

    def holds(self, running: int, waiting: int) -> None:
        """Note the numbers of jobs that the batch has now."""
        with self._lock:
            self._running, self._waiting = running, waiting

    def read(self) -> MeterReading:
        taken, peak = devices.taken_and_peak(self._device)
        with self._lock:
            return MeterReading(
                rows_a_call=self._rows.read(),
                tick_seconds=self._ticks.read(),
                running=self._running,
                waiting=self._waiting,
                busy_seconds=self._busy,
                network_seconds=self._network,
                memory=Memory(sum(self._weights.values()), taken, peak),
            )
