"""Results back to their members: each one once, also after a restart.

A delivery is a row. Before its request goes out, that it is attempted is committed; after it, the message.
Whoever finds one that was attempted and has no message looks in the channel before posting again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

import discord

from bot.dispatch import Dispatch, Later, Outbox, Redirected, Undeliverable
from bot.posting import ClientLoop
from bot.progress import ProgressBoard
from bot.translation import spoken
from storage import deliveries, tables
from storage.backends import Backends
from storage.contract import ChangedEvent, Event, ProgressEvent
from storage.errors import DataDeleted, Stale
from storage.events import Listener

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

POLL_S = 1.0
THREADS = 8
"""Deliveries under way at a time; each waits for Discord's rate limits by itself."""
HOLD_MS = 10_000
"""After this another bot may take up what this one had taken, should it have died."""
RENEW_S = 3.0
REQUEST_S = 300.0
LONGEST_DELAY_MS = 300_000


class Delivery:
    """Takes open deliveries from the database and has them posted, and the progress of jobs shown.

    All of it runs on threads and by the wall clock; only the requests themselves run on the client's loop.
    """

    def __init__(self, client: discord.Client, backends: Backends) -> None:
        self._backends = backends
        self._board = ProgressBoard(client, backends)
        self._outbox = Outbox(client, backends, self._board, self._request)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="delivery")
        self._under_way: set[int] = set()
        self._requests: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._renewed = 0.0
        self._listener: Listener | None = None
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver. Called on the client's event loop, after login."""
        self._loop = ClientLoop()
        self._board.start()
        self._listener = self._backends.events.listen(self._on_event, self._on_reconnect)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the threads; what is under way is found again at the next start.

        Blocks for a moment: from the event loop, call it through `asyncio.to_thread`.
        """
        self._stopping.set()
        self._wake.set()
        self._board.stop()
        with self._lock:
            pending = list(self._requests)
        for request in pending:
            request.cancel()
        if self._listener is not None:
            self._listener.stop()
        self._pool.shutdown(cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, ProgressEvent):
            self._board.show(event)
        elif isinstance(event, ChangedEvent):
            self._board.look_again(event.job_id)
            self._wake.set()

    def _on_reconnect(self) -> None:
        self._board.reread()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._hold()
                self._take()
            except Exception:
                log.exception("delivery: the database did not answer; trying again")
            self._wake.wait(POLL_S)
            self._wake.clear()

    def _write(self, change: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        with self._backends.database.writing() as session:
            return change(session, *args, **kwargs)

    def _hold(self) -> None:
        with self._lock:
            mine = set(self._under_way)
        if mine and time.monotonic() - self._renewed > RENEW_S:
            self._write(deliveries.hold, mine, HOLD_MS)
            self._renewed = time.monotonic()

    def _take(self) -> None:
        with self._lock:
            free = THREADS - len(self._under_way)
        if free <= 0:
            return
        for row in self._write(deliveries.take, free, HOLD_MS):
            with self._lock:
                if row.id in self._under_way or self._stopping.is_set():
                    continue
                self._under_way.add(row.id)
                self._pool.submit(self._deliver, row)

    def _deliver(self, row: tables.Delivery) -> None:
        """One try at one delivery, on a thread of the pool."""
        try:
            with spoken(row.locale):
                self._try(row)
        except Exception:
            # Perhaps the database is away: the row stays open, and is taken again when its hold is over.
            log.exception("job %s: delivery %s failed", row.job_id, row.id)
        finally:
            with self._lock:
                self._under_way.discard(row.id)
            self._wake.set()

    def _try(self, row: tables.Delivery) -> None:
        try:
            Dispatch(self._outbox, row).run()
        except Later as wait:
            delay_ms = wait.delay_ms or min(LONGEST_DELAY_MS, 1000 * 2 ** min(row.tries, 10))
            log.info("job %s: delivery %s waits %s ms: %s", row.job_id, row.id, delay_ms, wait)
            self._write(deliveries.later, row.id, str(wait), delay_ms, refused=wait.refused)
            return
        except Redirected as reason:
            log.info("job %s: delivery %s goes to direct messages: %s", row.job_id, row.id, reason)
            return
        except Undeliverable as reason:
            log.warning("job %s: delivery %s is given up: %s", row.job_id, row.id, reason)
            self._write(deliveries.give_up, row.id, str(reason))
        except Stale:
            log.info("job %s: delivery %s is another bot's", row.job_id, row.id)
        except DataDeleted:
            log.info("job %s: delivery %s is of a member who deleted their data", row.job_id, row.id)
        except CancelledError:
            log.info("job %s: delivery %s was interrupted", row.job_id, row.id)
        self._board.forget(row.job_id)

    def _request(self, work: Coroutine[Any, Any, T], /) -> T:
        """Await a request on the client's loop, from a thread of the pool."""
        with self._lock:
            if self._stopping.is_set():
                work.close()
                raise CancelledError
            future = self._loop.run(work)
            self._requests.add(future)
        try:
            return future.result(REQUEST_S)
        finally:
            future.cancel()
            with self._lock:
                self._requests.discard(future)
