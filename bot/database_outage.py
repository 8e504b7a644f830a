"""Patience of a thread that polls a database which does not answer."""

from __future__ import annotations

import logging

from storage.database import passes

log = logging.getLogger(__name__)

FIRST_S = 1.0
LONGEST_S = 15.0


class Outage:
    """Counts what went wrong in a row: each time one line in the log, and a longer wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._met = 0

    def met(self, error: Exception) -> float:
        """Log an error; returns the seconds to wait before the next try."""
        wait = min(LONGEST_S, FIRST_S * float(1 << self._met))
        self._met = min(self._met + 1, 10)
        if passes(error):
            log.warning(
                "%s: the database does not answer (%s); next try in %.0f s", self._name, reason(error), wait
            )
        else:
            log.error("%s: unforeseen; next try in %.0f s", self._name, wait, exc_info=error)
        return wait

    def over(self) -> None:
        """A try went well."""
        if self._met:
            log.info("%s: the database answers again", self._name)
        self._met = 0


def reason(error: Exception) -> str:
    """The driver's words in one line, without the statement and what it was about."""
    told = getattr(error, "orig", None) or getattr(error, "strerror", None)
    said = str(told or type(error).__name__).strip()
    return said.splitlines()[0] if said else type(error).__name__
