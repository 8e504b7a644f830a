"""Progress of a running job, told to the world: how far it is, and a preview that was checked first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from generator.companions.safety import SafetyCheck
from generator.engine.running_job import Progress
from storage import image_encoding
from storage.contract import ProgressEvent
from storage.events import Events

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0

PREVIEW_SHARE = 0.02
"""Part of the time that all jobs' previews together may take, of the device and of a thread beside it."""


class PreviewPace:
    """Pace of somebody's previews, which keeps them to their share whatever they cost here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due = 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._due

    def took(self, seconds: float) -> None:
        """A preview, or a part of it, took so long."""
        with self._lock:
            self._due = max(self._due, time.monotonic()) + seconds / PREVIEW_SHARE


class Pulse:
    """Time of the device's last sign of life, for whichever job."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def beat(self) -> None:
        self._at = time.monotonic()

    @property
    def silent_seconds(self) -> float:
        return time.monotonic() - self._at


class Reporter:
    """One attempt's progress: noted on the engine's thread, told on the attempt's."""

    def __init__(
        self, events: Events, job_id: int, attempt: int, pulse: Pulse, previews: PreviewPace
    ) -> None:
        self._events = events
        self._job_id = job_id
        self._attempt = attempt
        self._pulse = pulse
        self._previews = previews
        self._lock = threading.Lock()
        self._latest: Progress | None = None
        self._waiting_since: float | None = None
        self._due = 0.0

    def begin(self) -> None:
        self._tell(0.0, None)

    def progressed(self, progress: Progress) -> None:
        """The engine made a step; called on one of its threads."""
        self._pulse.beat()
        with self._lock:
            self._latest = progress

    def advanced(self, fraction: float) -> None:
        """A part of an upscale is done; told at once if something is due."""
        self.progressed(Progress(fraction, None))
        if time.monotonic() >= self._due:
            self._tell(fraction, None)

    @contextmanager
    def waiting_for_device(self) -> Iterator[None]:
        """Only in here the device is expected to do something: loading a model may take its time."""
        with self._lock:
            self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._waiting_since = None

    @property
    def waiting_seconds(self) -> float:
        with self._lock:
            return 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since

    @property
    def pause_seconds(self) -> float:
        """Seconds until there may be something to tell."""
        return max(0.05, self._due - time.monotonic())

    def report(self, check: SafetyCheck) -> None:
        """Tell how far the job is, if it moved on since the last time.

        What `check` takes of the device is for it to tell the pace.
        """
        with self._lock:
            progress, self._latest = self._latest, None
        if progress is not None:
            self._tell(progress.fraction, self._preview(progress, check))

    def _tell(self, fraction: float, preview: bytes | None) -> None:
        self._due = time.monotonic() + _EVERY_SECONDS
        self._events.publish(
            ProgressEvent(job_id=self._job_id, attempt=self._attempt, fraction=fraction, preview=preview)
        )

    def _preview(self, progress: Progress, check: SafetyCheck) -> bytes | None:
        """The forming pictures as one WebP; None when there is nothing to see or nothing that may be seen."""
        if progress.preview is None or not self._previews.due:
            return None
        # Of this thread alone: it also waits for a tick to end, which takes nothing from anybody.
        started = time.thread_time()
        images = progress.preview()
        unsafe = any(verdict.unsafe for verdict in check.check(images))
        encoded = None if unsafe else image_encoding.webp_bytes(image_encoding.grid(images))
        self._previews.took(time.thread_time() - started)
        return encoded
