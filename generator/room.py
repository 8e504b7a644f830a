"""Whether a worker has room for one more job: on the disk for its pictures, and in memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from storage.contract import ErrorCode
from storage.images import ImageStore

log = logging.getLogger(__name__)

PICTURES = "pictures"
MEMORY = "memory"
PROBE_SECONDS = 1.0
MEMORY_PAUSES = (5.0, 20.0, 60.0)
"""Seconds without new jobs after memory ran out once, twice in a row, more often."""


class Room:
    """Looked at before each claim. That it has run out is logged once, and so is that it is there again."""

    def __init__(self, store: ImageStore, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._lacks: str | None = None
        self._looks_again = 0.0
        self._shortages = 0

    @property
    def lacks(self) -> str | None:
        """`PICTURES` or `MEMORY` while there is too little of it."""
        return self._lacks

    def ran_out(self, code: ErrorCode) -> None:
        """A job failed for want of room."""
        with self._lock:
            if code is ErrorCode.DISK_FULL:
                self._close(PICTURES, 0.0)
            elif code is ErrorCode.OUT_OF_MEMORY:
                pause = MEMORY_PAUSES[min(self._shortages, len(MEMORY_PAUSES) - 1)]
                self._shortages += 1
                self._close(MEMORY, pause)

    def sufficed(self) -> None:
        """A job found all the room that it needed."""
        with self._lock:
            self._shortages = 0

    def look(self) -> bool:
        """Whether a job may be claimed."""
        with self._lock:
            if self._lacks is None and not self._store.nearly_full():
                return True
            if self._clock() < self._looks_again:
                return False
            self._looks_again = self._clock() + PROBE_SECONDS
            if not self._store.has_room():
                self._close(PICTURES, PROBE_SECONDS)
                return False
            if self._lacks is not None:
                log.warning("worker %s has room again, and goes on", self._name)
            self._lacks = None
            return True

    def _close(self, what: str, seconds: float) -> None:
        self._looks_again = max(self._looks_again, self._clock() + seconds)
        if self._lacks == what:
            return
        self._lacks = what
        where = f"pictures in {self._store.folder}" if what is PICTURES else "a job in memory"
        log.error(
            "worker %s takes no more jobs: there is no room for %s; it goes on by itself once there is",
            self._name,
            where,
        )
