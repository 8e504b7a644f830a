"""Models of the catalog that cannot be loaded, as far as is known, and why."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

from generator.families import sources
from storage import catalog_values
from storage.catalog_model import SHOWN, ModelEntry
from storage.errors import CatalogError

Key = tuple[str, int]
"""A model's name, and how often its entry has changed."""

Files = tuple[tuple[str, int, int], ...]
"""Path, time of change and size of each file of a source."""


class Fault(NamedTuple):
    """Reason why a model cannot be loaded, and the files of which that is known."""

    reason: str
    source: str
    files: Files


class Faults:
    """Noted and read on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Key, Fault] = {}

    def note(self, key: Key, entry: ModelEntry, error: CatalogError) -> None:
        with self._lock:
            self._known[key] = Fault(str(error), entry.source, _files_of(entry.source))

    def forget(self, key: Key) -> None:
        with self._lock:
            self._known.pop(key, None)

    def reason(self, key: Key) -> str | None:
        """The sentence for the operator; None for a model of which nothing is known."""
        with self._lock:
            fault = self._known.get(key)
        return fault and fault.reason

    def look(self, key: Key, entry: ModelEntry) -> None:
        """Note what can be seen of a model on this machine without reading its weights."""
        if Path(entry.source).exists() or catalog_values.names_a_file(entry.source):
            try:
                sources.family_of(entry.source, entry.stated_family)
            except CatalogError as error:
                self.note(key, entry, error)

    def look_again(self) -> None:
        """Trust those again whose files have changed."""
        with self._lock:
            known = dict(self._known)
        for key, fault in known.items():
            if fault.files != _files_of(fault.source):
                self.forget(key)


def draws_otherwise(before: ModelEntry | None, now: ModelEntry | None) -> bool:
    """True where the networks of an earlier entry do not serve for this one."""
    if before is None or now is None:
        return before is not now
    return any(
        getattr(before, key) != getattr(now, key) for key in type(now).model_fields if key not in SHOWN
    )


def _files_of(source: str) -> Files:
    place = Path(source)
    found = sorted(place.rglob("*")) if place.is_dir() else [place]
    return tuple((str(file), *_told(file)) for file in found)


def _told(file: Path) -> tuple[int, int]:
    try:
        told = file.stat()
    except OSError:
        return 0, -1
    return told.st_mtime_ns, told.st_size
