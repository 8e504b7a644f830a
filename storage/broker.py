"""Tickets: "there is work", carried by Celery over `memory://`, `redis://` or `amqp://`.

A ticket is only a wake-up; the database says what there is to do. So none is ever worth waiting for:
`Tickets.send` hands it to a thread and returns, and while the broker is away tickets are dropped.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any, NoReturn

import celery.worker.state
from celery import Celery, Task
from celery.exceptions import WorkerShutdown
from celery.worker import WorkController
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.messaging import Producer

from storage.supervision import logged, supervised

log = logging.getLogger(__name__)

TICKET = "easel.ticket"
_UNSENT = 200
CONFIRM_SECONDS = 5.0
_CONNECT_SECONDS = 4.0
_RECONNECT_SECONDS = (0.5, 1.0, 2.0, 4.0)

Publish = Callable[[Producer], object]


def address(url: str) -> str:
    """`url` as kombu wants it: it warns about a missing host even where there is none to name."""
    return "memory://localhost//" if url.rstrip("/") == "memory:" else url


def transport_options(url: str) -> dict[str, Any]:
    """Options with which a transport is quick, and notices a broker that vanished without a word."""
    if url.startswith("memory"):
        # Fanout messages wait for the poll; the default is a second.
        return {"polling_interval": 0.01}
    if url.startswith("redis"):
        return {"socket_connect_timeout": _CONNECT_SECONDS, "socket_keepalive": True}
    # Without confirms a message written to a connection that the broker just closed is lost unseen.
    return {"confirm_publish": True}


def connection(url: str, *, heartbeat: float = 0) -> Connection:
    """A lazy connection; `heartbeat` in seconds is for those who call `heartbeat_check` (AMQP only)."""
    return Connection(
        address(url),
        connect_timeout=_CONNECT_SECONDS,
        heartbeat=heartbeat,
        transport_options=transport_options(url),
    )


def connection_errors(url: str) -> tuple[type[BaseException], ...]:
    """Exceptions that a lost, refused or misused connection raises."""
    idle = connection(url)
    return (OSError, OperationalError, *idle.connection_errors, *idle.channel_errors)


def pause_before(retry: int) -> float:
    """Seconds to wait before the given (0 is the first) attempt to come back."""
    return _RECONNECT_SECONDS[min(retry, len(_RECONNECT_SECONDS) - 1)]


class Sender:
    """A thread with a connection of its own that publishes what it is given, in order.

    Giving never waits and never raises. What cannot be sent at the second attempt is dropped,
    together with everything that waits behind it: hints do not keep.
    """

    def __init__(self, url: str, name: str) -> None:
        self._connection = connection(url)
        self._errors = connection_errors(url)
        self._name = name
        self._waiting: queue.Queue[Publish | None] = queue.Queue(_UNSENT)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._down = False

    def give(self, publish: Publish) -> None:
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(publish)
        except queue.Full:
            log.debug("%s: dropped, %s are waiting already", self._name, _UNSENT)

    def close(self, timeout: float = 2.0) -> None:
        """Send what is waiting, for at most `timeout` seconds, and disconnect."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is None:
            return
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self._discard_waiting()
            self._waiting.put_nowait(None)
        thread.join(timeout)

    def _run(self) -> None:
        while (publish := self._waiting.get()) is not None:
            with supervised(self._dropped):
                self._send(publish)
        self._disconnect()

    def _dropped(self, error: Exception) -> None:
        log.error("%s: dropped a message", self._name, exc_info=error)
        self._disconnect()

    def _send(self, publish: Publish) -> None:
        try:
            self._attempt(publish)
        except self._errors:
            self._disconnect()
            try:
                self._attempt(publish)
            except self._errors as error:
                self._disconnect()
                self._went_down(error)
                return
        if self._down:
            self._down = False
            log.info("%s: the broker is back", self._name)

    def _attempt(self, publish: Publish) -> None:
        self._connection.ensure_connection(max_retries=0)
        publish(Producer(self._connection.default_channel))

    def _went_down(self, error: BaseException) -> None:
        dropped = 1 + self._discard_waiting()
        if not self._down:
            self._down = True
            log.warning("%s: the broker does not answer (%s); %s dropped", self._name, error, dropped)

    def _discard_waiting(self) -> int:
        count = 0
        while True:
            try:
                publish = self._waiting.get_nowait()
            except queue.Empty:
                return count
            if publish is None:
                self._waiting.put_nowait(None)
                return count
            count += 1

    def _disconnect(self) -> None:
        # collect() is close() for a connection whose other end may be gone.
        self._connection.collect(socket_timeout=1.0)


class Tickets:
    """Celery, for one kind of task that says nothing but "look into the database"."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.app = Celery("easel", broker=address(url), set_as_current=False)
        self.app.conf.update(
            broker_transport_options=transport_options(url),
            broker_connection_timeout=_CONNECT_SECONDS,
            broker_connection_retry_on_startup=True,
            broker_connection_max_retries=None,
            task_default_queue="easel.tickets",
            task_default_delivery_mode="transient",
            task_ignore_result=True,
            task_store_errors_even_if_ignored=False,
            worker_enable_remote_control=False,
            worker_send_task_events=False,
        )
        self._on_ticket: Callable[[], None] = lambda: None
        self._ticket = self._ticket_task()
        self._sender = Sender(url, "tickets")
        self._import_all()

    def _ticket_task(self) -> Task:
        def ticket() -> None:
            self._on_ticket()

        # Shared, which is Celery's default, would give it to every other Celery app of the process too.
        return self.app.task(ticket, name=TICKET, shared=False)

    def _import_all(self) -> None:
        """Import what Celery would import with the first ticket, which is somebody's first press."""
        attrgetter("amqp.send_task_message", "backend", "loader")(self.app)

    def send(self) -> None:
        """Wake one worker. Never waits for the broker and never raises."""
        self._sender.give(
            lambda producer: self._ticket.apply_async(
                producer=producer, retry=False, confirm_timeout=CONFIRM_SECONDS
            )
        )

    def listen(self, on_ticket: Callable[[], None], *, name: str) -> TicketListener:
        """Call `on_ticket` for each ticket that reaches this process, on a thread of Celery's."""
        self._on_ticket = on_ticket
        listener = TicketListener(self, name)
        listener.start()
        return listener

    def close(self) -> None:
        self._sender.close()
        self.app.close()


class TicketListener:
    """Celery's worker on a thread: it takes tickets, and starts again whatever ends it.

    It is a `WorkController`, not `app.Worker`: no signal handlers, no logging set up, no warning about root.
    Its plain loop, not the event loop: that one swaps locks and a global hub for the whole process.
    """

    def __init__(self, tickets: Tickets, name: str) -> None:
        self._tickets = tickets
        self._name = name
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._controller: WorkController | None = None
        self._thread = threading.Thread(target=self._run, name="celery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until tickets are received; False when the broker was not reached in time (seconds)."""
        return self._ready.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more tickets. Returns when the thread has ended, or after `timeout` seconds.

        Celery's own `stop()` would close the connection under the thread that reads from it. The exit is
        raised in its loop instead, which a last ticket wakes. While it tries to connect only the flag is
        looked at; that is the process's: left set, the next listener would end at once, without a word.
        """
        self._stopping.set()
        celery.worker.state.should_stop = 0
        try:
            if self._controller is not None and self._controller.consumer.connection:
                self._controller.consumer.call_soon(_exit)
                self._tickets.send()
            self._thread.join(timeout)
        finally:
            celery.worker.state.should_stop = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            with supervised(logged(log, "tickets: the listener ended")):
                self._receive()
            self._stopping.wait(1.0)

    def _receive(self) -> None:
        # The thread's own app: Celery looks a task up in the current one.
        self._tickets.app.set_current()
        self._controller = WorkController(
            app=self._tickets.app,
            hostname=self._name,
            pool="solo",
            concurrency=1,
            use_eventloop=False,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            ready_callback=lambda _consumer: self._ready.set(),
        )
        # It handles the exit itself, unless the connection was lost in that very moment.
        with suppress(WorkerShutdown):
            self._controller.start()


def _exit() -> NoReturn:
    raise WorkerShutdown(0)
