"""The catalog as its file is now: bot and workers read it again when it changed, without a restart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from storage import catalog
from storage.catalog import Catalog
from storage.errors import CatalogError
from storage.monotonic import monotonic

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Least time between two looks at the file: asking more often costs nothing."""

_Stamp = tuple[Path, int, int] | None


class WatchedCatalog:
    """Tells the catalog whenever it is called, on any thread; it has no thread of its own.

    A file that does not read leaves in force what was read before, and is logged once.

    Raises:
        CatalogError: when it is made, of a file that does not read.
    """

    def __init__(self, locate: Callable[[], Path | None], look_seconds: float = LOOK_SECONDS) -> None:
        """`locate` names the file; None stands for the shipped one."""
        self._locate = locate
        self._look_seconds = look_seconds
        self._looking = threading.Lock()
        self._looked_at = monotonic()
        self._stamp = self._stamp_now()
        self._catalog = catalog.load(locate())

    def __call__(self) -> Catalog:
        if monotonic() - self._looked_at >= self._look_seconds and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looked_at = monotonic()
                self._looking.release()
        return self._catalog

    def _look(self) -> None:
        # Taken before the file is read: who writes meanwhile is seen at the next look.
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._catalog = catalog.load(self._locate())
        except CatalogError as error:
            log.error("the catalog stays as it was read before: %s", error)
        else:
            log.info("the catalog was read again: it names %s", ", ".join(self._catalog.models))

    def _stamp_now(self) -> _Stamp:
        path = self._locate()
        if path is None:
            return None
        try:
            told = path.stat()
        except OSError:
            return path, 0, -1
        return path, told.st_mtime_ns, told.st_size
