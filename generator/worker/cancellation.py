"""Signals to stop an attempt, from any thread: it is cancelled, or released to another worker."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from typing import Any


class LeaseLost(Exception):
    """The job is no longer this worker's affair: nothing more is written about it."""


class CancellationToken:
    """Told once by other threads; the attempt's own looks at it between its parts."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._future: Future[Any] | None = None

    def cancel(self) -> None:
        """Someone asked for the job to stop."""
        self._tell(self._cancelled)

    def release(self) -> None:
        """Another worker has the job, or will have it."""
        self._tell(self._released)

    def _tell(self, event: threading.Event) -> None:
        with self._lock:
            event.set()
            if self._future is not None:
                self._future.cancel()

    def hold(self, future: Future[Any]) -> None:
        """Cancel this as well when told to stop, or now where that was told already."""
        with self._lock:
            self._future = future
            if self._cancelled.is_set() or self._released.is_set():
                future.cancel()

    def check(self) -> None:
        """Return if the attempt may go on.

        Raises:
            LeaseLost: it is another worker's.
            CancelledError: someone asked for it to stop.
        """
        if self._released.is_set():
            raise LeaseLost
        if self._cancelled.is_set():
            raise CancelledError

    @property
    def is_released(self) -> bool:
        return self._released.is_set()

    def released_within(self, seconds: float) -> bool:
        """Wait so long at most for being released."""
        return self._released.wait(seconds)
