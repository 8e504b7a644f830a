"""Results back to their members: each one once, also after a restart.

A delivery is a row. Before its request goes out, that it is attempted is committed; after it, the message.
Whoever finds one that was attempted and has no message looks in the channel before posting again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import discord

from bot.database_outage import Outage
from bot.delivery.attempt import UNFORESEEN_TRIES, Dispatch
from bot.delivery.outcomes import Outbox, Redirected, RetryLater, Undeliverable
from bot.delivery.progress import ProgressBoard
from bot.delivery.withdrawals import Withdrawal
from bot.discord_io.client_loop import Requests
from bot.discord_io.failures import DiscordFailure
from bot.held_rows import HeldRows
from storage import deliveries, tables
from storage.backends import Backends
from storage.clock import Clock
from storage.contract import ChangedEvent, Event, ProgressEvent
from storage.database import passes
from storage.errors import DataDeleted, Stale
from storage.events import Listener

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

POLL_S = 1.0
THREADS = 8
"""Deliveries under way at a time; each waits for Discord's rate limits by itself."""
RENEW_S = 3.0
FIRST_DELAY_MS = 1_000
LONGEST_DELAY_MS = 300_000


class DeliveryWorker:
    """Takes open deliveries from the database and has them posted, and the progress of jobs shown.

    All of it runs on threads and by the wall clock; only the requests themselves run on the client's loop.
    """

    def __init__(self, client: discord.Client, backends: Backends) -> None:
        self._backends = backends
        self._board = ProgressBoard(client, backends)
        self._requests = Requests()
        self._outbox = Outbox(client, backends, self._board, self._requests.wait)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._rows = HeldRows("delivery", THREADS, self._take, self._hold, self._try, self._wake.set)
        self._listener: Listener | None = None
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver. Called on the client's event loop, after login."""
        self._requests.start()
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
        self._requests.stop()
        if self._listener is not None:
            self._listener.stop()
        self._rows.stop()
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
        outage = Outage("delivery")
        while not self._stopping.is_set():
            with outage.turn():
                self._rows.turn(RENEW_S)
            if outage.wait_s:
                self._stopping.wait(outage.wait_s)
            else:
                self._wake.wait(POLL_S)
            self._wake.clear()

    def _write(self, change: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        with self._backends.database.writing() as session:
            return change(session, *args, **kwargs)

    def _take(self, limit: int) -> tuple[Sequence[tables.Delivery], Clock]:
        with self._backends.database.writing() as session:
            return deliveries.take(session, limit, deliveries.HOLD_MS), Clock.read(session)

    def _hold(self, delivery_ids: Collection[int]) -> None:
        self._write(deliveries.hold, delivery_ids, deliveries.HOLD_MS)

    def _try(self, row: tables.Delivery, clock: Clock) -> None:
        """One try at one delivery."""
        kind = Withdrawal if row.state == deliveries.WITHDRAWN else Dispatch
        try:
            kind(self._outbox, row, clock).run()
        except RetryLater as wait:
            self._retry_later(row, wait)
            return
        except DiscordFailure as failure:
            self._retry_later(row, RetryLater(str(failure)))
            return
        except Redirected as reason:
            log.info("job %s: delivery %s goes to direct messages: %s", row.job_id, row.id, reason)
            return
        except Undeliverable as reason:
            level = logging.WARNING if reason.refused is None else logging.INFO
            log.log(level, "job %s: delivery %s is given up: %s", row.job_id, row.id, reason)
            self._write(deliveries.give_up, row.id, str(reason))
        except Stale:
            log.info("job %s: delivery %s is closed, or another bot's", row.job_id, row.id)
        except DataDeleted:
            log.info("job %s: delivery %s is of a member who deleted their data", row.job_id, row.id)
        except CancelledError:
            log.info("job %s: delivery %s was interrupted", row.job_id, row.id)
        except Exception as error:  # one of the four edges where anything is caught: an attempt
            if passes(error):
                raise
            log.exception("job %s: delivery %s failed", row.job_id, row.id)
            self._failed(row, f"{type(error).__name__}: {error}")
            return
        self._board.forget(row.job_id)

    def _retry_later(self, row: tables.Delivery, wait: RetryLater) -> None:
        delay_ms = wait.delay_ms or min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** min(row.tries, 10))
        log.info("job %s: delivery %s waits %s ms: %s", row.job_id, row.id, delay_ms, wait)
        self._write(deliveries.later, row.id, str(wait), delay_ms, refused=wait.refused)

    def _failed(self, row: tables.Delivery, error: str) -> None:
        """Try again a few times, the last with a sentence in the pictures' place."""
        if row.failures > UNFORESEEN_TRIES:
            end = deliveries.withdrawn if row.state == deliveries.WITHDRAWN else deliveries.give_up
            self._write(end, row.id, error)
        else:
            self._write(deliveries.failed, row.id, error, FIRST_DELAY_MS * 2**row.failures)
