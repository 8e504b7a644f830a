"""The client's event loop, as threads use it: what they run there, and how they wait for it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from bot.discord_io.failures import classified
from prompts.translation import current_locale, speak

T = TypeVar("T")

REQUEST_S = 300.0


class ClientLoop:
    """The client's event loop, for threads: what they run on it has the client's own context."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        # discord.py keeps in a context variable how it reaches webhooks; a thread would have another context.
        self._context = contextvars.copy_context()

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        context = self._context.copy()
        context.run(speak, current_locale())
        return context.run(asyncio.run_coroutine_threadsafe, work, self.loop)


class Requests:
    """Requests that threads wait for, and that can all be ended at once."""

    def __init__(self) -> None:
        self._waited_for: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Called on the client's event loop."""
        self._loop = ClientLoop()

    def stop(self) -> None:
        """End those under way, and let none begin."""
        with self._lock:
            self._stopping = True
            waited_for = list(self._waited_for)
        for future in waited_for:
            future.cancel()

    def wait(self, work: Coroutine[Any, Any, T], /) -> T:
        """Await a request on the client's loop, from a thread.

        Raises:
            CancelledError: they were stopped.
            DiscordFailure: it failed, or took longer than `REQUEST_S`.
        """
        with self._lock:
            if self._stopping:
                work.close()
                raise CancelledError
            future = self._loop.run(work)
            self._waited_for.add(future)
        try:
            with classified():
                return future.result(REQUEST_S)
        finally:
            future.cancel()
            with self._lock:
                self._waited_for.discard(future)
