"""Patience of a thread that polls a database which does not answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from storage.database import passes
from storage.supervision import supervised

log = logging.getLogger(__name__)

FIRST_S = 1.0
LONGEST_S = 15.0


class Outage:
    """Counts what went wrong in a row: each time one line in the log, and a longer wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._met = 0
        self.wait_s = 0.0
        """Seconds to wait before the next try; 0 after one that went well."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One try: whatever goes wrong in it is logged, and `wait_s` says for how long to pause after it."""
        self.wait_s = 0.0
        with supervised(self._failed):
            yield
            self._over()

    def _failed(self, error: Exception) -> None:
        self.wait_s = wait = min(LONGEST_S, FIRST_S * float(1 << self._met))
        self._met = min(self._met + 1, 10)
        if passes(error):
            log.warning(
                "%s: the database does not answer (%s); next try in %.0f s", self._name, reason(error), wait
            )
        else:
            log.error("%s: unforeseen; next try in %.0f s", self._name, wait, exc_info=error)

    def _over(self) -> None:
        if self._met:
            log.info("%s: the database answers again", self._name)
        self._met = 0


def reason(error: Exception) -> str:
    """The driver's words in one line, without the statement and what it was about."""
    told = getattr(error, "orig", None) or getattr(error, "strerror", None)
    said = str(told or type(error).__name__).strip()
    return said.splitlines()[0] if said else type(error).__name__
