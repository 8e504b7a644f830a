"""Seconds, and how many of them are left."""

from __future__ import annotations

import math
import time
from typing import NamedTuple


class Taken(NamedTuple):
    wall: float
    processor: float


class Stopwatch:
    """Seconds since it was made: of the day, and of the process on all cores."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> Taken:
        return Taken(time.perf_counter() - self._wall, time.process_time() - self._processor)

    def wait_until(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds - self.read().wall))


class Allowance:
    """So many seconds from now; without a number, as many as it takes."""

    def __init__(self, seconds: float = math.inf) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def anew(self) -> Allowance:
        """As many seconds as this one had, from now."""
        return Allowance(self._seconds)

    def part(self, share: float) -> Allowance:
        return Allowance(self.left * share)
