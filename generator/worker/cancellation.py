"""Signals that tell an attempt to stop, from any thread, and by whose wish."""

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
        self._let_go = threading.Event()
        self._lock = threading.Lock()
        self._future: Future[Any] | None = None

    def cancel(self) -> None:
        """Someone asked for the job to stop."""
        self._tell(self._cancelled)

    def let_go(self) -> None:
        """Another worker has the job, or will have it."""
        self._tell(self._let_go)

    def _tell(self, event: threading.Event) -> None:
        with self._lock:
            event.set()
            if self._future is not None:
                self._future.cancel()

    def hold(self, future: Future[Any]) -> None:
        """Cancel this as well when told to stop, or now where that was told already."""
        with self._lock:
            self._future = future
            if self._cancelled.is_set() or self._let_go.is_set():
                future.cancel()

    def check(self) -> None:
        """Return if the attempt may go on.

        Raises:
            LetGo: it is another worker's.
            CancelledError: someone asked for it to stop.
        """
        if self._let_go.is_set():
            raise LeaseLost
        if self._cancelled.is_set():
            raise CancelledError

    @property
    def is_let_go(self) -> bool:
        return self._let_go.is_set()

    def lets_go_within(self, seconds: float) -> bool:
        """Wait so long at most for being told to let go."""
        return self._let_go.wait(seconds)
