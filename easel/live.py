"""The worker's live line: it moves at the foot of a terminal, and elsewhere is logged at times."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.live import Live
from rich.text import Text

from easel import logs
from generator.engine.meter import Meter, MeterReading

log = logging.getLogger(__name__)

SCREEN_SECONDS = 1.0
LOG_SECONDS = 60.0

Tell = Callable[[MeterReading, MeterReading, float], object]


@contextmanager
def shown(
    meter: Meter,
    console: Console | None = None,
    *,
    lacks: Callable[[], str | None] = lambda: None,
    screen: float = SCREEN_SECONDS,
    log: float = LOG_SECONDS,
) -> Iterator[None]:
    """Show the meter every `screen` seconds on a terminal, with the log above it; else log it every `log`
    seconds in which there was work. `lacks` says what the worker has no room in.
    """
    console = console or Console(stderr=True, force_terminal=sys.stderr.isatty())
    stop = threading.Event()
    with ExitStack() as stack:
        tell: Tell = _log
        seconds = log
        if console.is_interactive:
            stack.enter_context(logs.above(console))
            tell, seconds = _on(stack.enter_context(_foot(console)), lacks), screen
        follower = threading.Thread(target=_follow, args=(meter, seconds, tell, stop), name="live line")
        follower.start()
        try:
            yield
        finally:
            stop.set()
            follower.join()


def line(before: MeterReading, now: MeterReading, seconds: float, lacks: str | None = None) -> str:
    """The line for the seconds between two readings, and for the state at their end."""
    ticks = now.ticks - before.ticks
    parts = [f"takes no jobs: too little room ({lacks})"] if lacks else []
    parts += [_jobs(now)]
    if ticks:
        network = (now.network_seconds - before.network_seconds) / seconds
        parts += [
            f"{(now.rows - before.rows) / ticks:.1f} rows a tick",
            f"{ticks / seconds:.1f} ticks a second",
            f"{min(network, 1.0):.0%} in the UNet",
        ]
    memory = now.memory
    parts.append(f"{decimal(memory.taken)}, weights {decimal(memory.weights)}")
    return " · ".join(parts)


def _jobs(now: MeterReading) -> str:
    if not now.running and not now.waiting:
        return "idle"
    return f"{now.running} drawing" + (f", {now.waiting} waiting" if now.waiting else "")


def _foot(console: Console) -> Live:
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)


def _on(foot: Live, lacks: Callable[[], str | None]) -> Tell:
    def tell(before: MeterReading, now: MeterReading, seconds: float) -> None:
        text = Text(line(before, now, seconds, lacks()), style="dim", no_wrap=True, overflow="ellipsis")
        foot.update(text, refresh=True)

    return tell


def _log(before: MeterReading, now: MeterReading, seconds: float) -> None:
    if now.ticks > before.ticks:
        log.info("%s", line(before, now, seconds))


def _follow(meter: Meter, every: float, tell: Tell, stop: threading.Event) -> None:
    before, at = meter.read(), time.monotonic()
    while not stop.wait(every):
        now, until = meter.read(), time.monotonic()
        tell(before, now, until - at)
        before, at = now, until
