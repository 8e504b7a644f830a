"""Room for one more job: on the disk for its pictures, and in memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from storage.images import ImageStore

log = logging.getLogger(__name__)

PICTURES = "pictures"
MEMORY = "memory"
PROBE_SECONDS = 1.0
PAUSES = {PICTURES: (0.0, 5.0, 20.0, 60.0), MEMORY: (5.0, 20.0, 60.0)}
"""Seconds without new jobs after it ran out once, twice in a row, more often."""


class Room:
    """Looked at before each claim. That it has run out is logged once, and so is that it is there again."""

    def __init__(self, store: ImageStore, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._lacks: str | None = None
        self._looks_again = 0.0
        self._shortages = dict.fromkeys(PAUSES, 0)
        self._needed = 0

    @property
    def lacks(self) -> str | None:
        """`PICTURES` or `MEMORY` while there is too little of it."""
        return self._lacks

    def had_none_for_pictures(self, size: int) -> None:
        """A job's pictures, of so many bytes in all, did not fit."""
        with self._lock:
            self._needed = max(self._needed, size)
            self._ran_out(PICTURES)

    def had_no_memory(self) -> None:
        """A job beside others found none."""
        with self._lock:
            self._ran_out(MEMORY)

    def sufficed(self, size: int) -> None:
        """A job found all the room that it needed, of the disk so many bytes."""
        with self._lock:
            self._shortages[MEMORY] = 0
            if size >= self._needed:
                self._shortages[PICTURES] = self._needed = 0

    def _ran_out(self, what: str) -> None:
        if self._lacks == what:
            return  # jobs that ran side by side find it out one after the other
        pauses = PAUSES[what]
        pause = pauses[min(self._shortages[what], len(pauses) - 1)]
        self._shortages[what] += 1
        self._close(what, pause)

    def look(self) -> bool:
        """True if a job may be claimed."""
        with self._lock:
            if self._lacks is None and not self._store.nearly_full():
                return True
            if self._clock() < self._looks_again:
                return False
            self._looks_again = self._clock() + PROBE_SECONDS
            if not self._store.has_room(self._needed):
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
