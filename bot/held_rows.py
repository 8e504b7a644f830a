"""Rows that a bot takes from the database and works off on threads, held so that no other bot takes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from bot.database_outage import reason
from prompts.translation import spoken
from storage.clock import Clock
from storage.database import passes
from storage.monotonic import monotonic
from storage.supervision import supervised
from storage.tables import Delivery, Export

log = logging.getLogger(__name__)

Row = TypeVar("Row", Delivery, Export)


class HeldRows(Generic[Row]):
    """As many rows under way as there are threads, each in one try in the language of its member.

    `take` returns at most so many rows that are due, and the clock by which they are dated; `hold` holds rows
    by their ids for longer; `work` is the try, and `ended` is called after it.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        take: Callable[[int], tuple[Sequence[Row], Clock] | None],
        hold: Callable[[Collection[int]], None],
        work: Callable[[Row, Clock], None],
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self._name, self._threads = name, threads
        self._take: Callable[[int], tuple[Sequence[Row], Clock] | None] = take
        self._work: Callable[[Row, Clock], None] = work
        self._hold, self._ended = hold, ended
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._under_way: set[int] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._renewed = 0.0

    def __len__(self) -> int:
        with self._lock:
            return len(self._under_way)

    def turn(self, renew_s: float) -> None:
        """Hold those under way for longer, every `renew_s` seconds, and begin what is due."""
        self._renew(renew_s)
        free = self._threads - len(self)
        taken = self._take(free) if free > 0 else None
        if taken is None:
            return
        rows, clock = taken
        for row in rows:
            with self._lock:
                if row.id in self._under_way or self._stopping.is_set():
                    continue
                self._under_way.add(row.id)
                self._pool.submit(self._try, row, clock)

    def stop(self) -> None:
        """Begin nothing more, and wait for the tries that are under way."""
        with self._lock:
            self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _renew(self, renew_s: float) -> None:
        with self._lock:
            mine = set(self._under_way)
        if mine and monotonic() - self._renewed > renew_s:
            self._hold(mine)
            self._renewed = monotonic()

    def _try(self, row: Row, clock: Clock) -> None:
        try:
            with supervised(partial(self._unnoted, row)), spoken(row.locale):
                self._work(row, clock)
        finally:
            with self._lock:
                self._under_way.discard(row.id)
            self._ended()

    def _unnoted(self, row: Row, error: Exception) -> None:
        """The row stays as it is, and is taken again when its hold is over."""
        if passes(error):
            log.warning("%s %s waits for the database: %s", self._name, row.id, reason(error))
        else:
            log.error("%s %s failed, and that could not be noted", self._name, row.id, exc_info=error)
