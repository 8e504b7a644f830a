"""Ctrl-C and SIGTERM on an asyncio loop, on systems whose loops do not watch signals too."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def watch_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
    """From now on call `stop` on the loop when the process is told to end."""

    def pass_on(*_: object) -> None:
        loop.call_soon_threadsafe(stop)

    for number in SIGNALS:
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, pass_on)


def unwatch_signals(loop: asyncio.AbstractEventLoop) -> None:
    """From now on the process ends as usual."""
    for number in SIGNALS:
        try:
            loop.remove_signal_handler(number)
        except NotImplementedError:  # Windows
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
