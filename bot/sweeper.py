"""The image store kept clean beside the bot's work, on a thread of its own."""

from __future__ import annotations

import logging
import threading

from bot.database_outage import Outage
from storage import brought
from storage.backends import Backends
from storage.sweep import Sweep

log = logging.getLogger(__name__)

PAUSE_S = 10.0
PASS_S = 3600.0
"""Between the end of one look at the whole store and the next."""


class Sweeper:
    """Finds out what older jobs use, once; then sweeps, a round every now and then."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._sweep = Sweep(backends)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop; blocks for as long as a round takes."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        outage, pause = Outage("sweeper"), 0.0
        while not self._stopping.wait(outage.wait_s or pause):
            with outage.turn():
                pause = self._round()

    def _round(self) -> float:
        """Seconds until the next one."""
        if brought.fill_some(self._backends.database):
            return 0.01
        before = self._sweep.deleted
        more = self._sweep.round()
        if self._sweep.deleted > before:
            log.info("swept %s files that nothing names", self._sweep.deleted - before)
        return PAUSE_S if more else PASS_S
