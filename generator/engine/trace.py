"""A torch profile of some ticks, in the form that Perfetto and chrome://tracing open."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import torch
from torch.profiler import profile, schedule

from generator import devices
from storage.supervision import logged, supervised

log = logging.getLogger(__name__)

TRACED_TICKS = 100
WARM_UP = 5
"""Ticks before the first one that is kept: they load kernels and fill caches."""


class Trace:
    """The device's thread calls it after every tick; the file is written beside the ticks that follow."""

    def __init__(self, device: torch.device, file: Path, ticks: int, warm_up: int = WARM_UP) -> None:
        self._file = file
        self._wanted = ticks
        self._warm_up = warm_up
        self._seen = 0
        activities = devices.profiled(device)
        # Kineto complains of itself unless its first profile is made on the thread that imported torch.
        with profile(activities=activities):
            pass
        self._profile = profile(
            activities=activities,
            schedule=schedule(wait=0, warmup=warm_up, active=ticks, repeat=1),
            record_shapes=True,
        )

    def tick(self) -> bool:
        """Note that a tick is over; False when that was the last one to be kept, or profiling failed."""
        with supervised(logged(log, "profiling failed; the work goes on")):
            return self._tick()
        return False

    def _tick(self) -> bool:
        if self._seen == 0:
            log.info("profiling %d ticks after %d to warm up", self._wanted, self._warm_up)
            self._profile.start()
        else:
            self._profile.step()
        self._seen += 1
        if self._seen <= self._warm_up + self._wanted:
            return True
        self.end()
        return False

    def end(self) -> None:
        """Stop, and write what there is."""
        kept = self._seen - self._warm_up - 1
        if self._seen:
            self._profile.stop()
        if kept <= 0:
            log.warning("too few ticks for a profile: %s is not written", self._file)
            return
        # Not a daemon, as the device's thread is: the process does not end before the file is whole.
        threading.Thread(target=self._write, args=(kept,), name="easel-trace", daemon=False).start()

    def _write(self, kept: int) -> None:
        with supervised(logged(log, "the profile could not be written to %s", self._file)):
            self._profile.export_chrome_trace(str(self._file))
            size = self._file.stat().st_size
            log.info("a profile of %d ticks is in %s (%d kB)", kept, self._file, size // 1000)
