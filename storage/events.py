"""Events: hints from one process to all others that something moved, over kombu fanout.

An event is never the truth. Those sent while a listener was away are lost to it, so `on_reconnect` is the
word to read again what matters. Each is signed: who merely reaches the broker can neither stop a job nor put
a picture of their own into a member's message.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress

from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.message import Message
from kombu.messaging import Consumer
from pydantic import TypeAdapter, ValidationError

from storage.broker import CONFIRM_SECONDS, Sender, connection, connection_errors, pause_before
from storage.contract import Event
from storage.monotonic import monotonic
from storage.supervision import logged, supervised

log = logging.getLogger(__name__)

EXCHANGE = Exchange("easel.events", type="fanout", durable=True, delivery_mode="transient")
_HEARTBEAT_SECONDS = 10.0
_SIGNATURE = "easel-signature"
_FORGED_EVERY_SECONDS = 60.0
_RECEIVE_SECONDS = 0.05
"""After so long a listener looks whether it is to stop."""

_event: TypeAdapter[Event] = TypeAdapter(Event)


class Events:
    """One process's end of the fanout; `key` is the same in all processes that hear each other."""

    def __init__(self, url: str, key: bytes) -> None:
        self._url = url
        self._key = key
        self._sender = Sender(url, "events")

    def publish(self, event: Event) -> None:
        """Send to every listener. Never waits for the broker and never raises; dropped while it is away."""
        body = _event.dump_json(event)
        self._sender.give(
            lambda producer: producer.publish(
                body,
                exchange=EXCHANGE,
                headers={_SIGNATURE: signature_of(self._key, body)},
                declare=[EXCHANGE],
                content_type="application/json",
                content_encoding="utf-8",
                confirm_timeout=CONFIRM_SECONDS,
            )
        )

    def listen(self, on_event: Callable[[Event], None], on_reconnect: Callable[[], None]) -> Listener:
        """Call `on_event` for every event and `on_reconnect` whenever some may have been missed.

        Both are called on the listener's thread, one after the other. It returns at once; events sent before
        `Listener.wait_ready` says so may be missed.
        """
        listener = Listener(self._url, self._key, on_event, on_reconnect)
        listener.start()
        return listener

    def close(self) -> None:
        self._sender.close()


class Listener:
    """A thread that receives events and comes back by itself when the broker does."""

    def __init__(
        self, url: str, key: bytes, on_event: Callable[[Event], None], on_reconnect: Callable[[], None]
    ) -> None:
        self._url = url
        self._key = key
        self._forged_at = -_FORGED_EVERY_SECONDS
        self._on_event = on_event
        self._on_reconnect = on_reconnect
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._missed = False
        self._retries = 0
        self._thread = threading.Thread(target=self._run, name="events listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until events are received; False when the broker was not reached in time (seconds)."""
        return self._ready.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        expected = connection_errors(self._url)
        while not self._stopping.is_set():
            with supervised(self._failed):
                try:
                    self._receive()
                except expected as error:
                    self._lost(error)

    def _failed(self, error: Exception) -> None:
        log.error("events: the listener failed; trying again", exc_info=error)
        self._lost(None)

    def _lost(self, error: BaseException | None) -> None:
        if self._stopping.is_set():
            return
        if error is not None and not self._missed:
            log.warning("events: the broker was lost (%s); trying again", error)
        self._missed = True
        self._ready.clear()
        self._stopping.wait(pause_before(self._retries))
        self._retries += 1

    def _receive(self) -> None:
        with connection(self._url, heartbeat=_HEARTBEAT_SECONDS) as broker:
            broker.ensure_connection(max_retries=0)
            # A new name each time: RabbitMQ may still hold the exclusive queue of the lost connection.
            queue = Queue(
                f"easel.events.{secrets.token_hex(8)}",
                EXCHANGE,
                durable=False,
                exclusive=True,
                auto_delete=True,
                expires=300.0,
            )
            consumer = Consumer(
                broker.default_channel,
                [queue],
                on_message=self._arrived,
                on_decode_error=lambda *_: self._warn_of_forgery(),
                no_ack=True,
            )
            with consumer:
                self._subscribed(broker)
                while not self._stopping.is_set():
                    self._drain(broker)
                # Deleting alone leaves the in-memory exchange filling a queue that nobody reads.
                queue.bind(broker.default_channel).unbind_from(EXCHANGE)

    def _subscribed(self, broker: Connection) -> None:
        # On Redis the subscription is sent by the first drain.
        with suppress(TimeoutError):
            broker.drain_events(timeout=0.05)
        self._retries = 0
        self._ready.set()
        if self._missed:
            self._missed = False
            log.info("events: the broker is back")
            self._call(self._on_reconnect)

    def _drain(self, broker: Connection) -> None:
        started = monotonic()
        with suppress(TimeoutError):
            while monotonic() - started < 1.0 and not self._stopping.is_set():
                broker.drain_events(timeout=_RECEIVE_SECONDS)
        # Once a second, and not only in silence: a listener that only ever receives would be cut off.
        broker.heartbeat_check()

    def _arrived(self, message: Message) -> None:
        if not self._is_ours(message):
            self._warn_of_forgery()
            return
        try:
            event = _event.validate_json(message.body)
        except ValidationError:
            log.warning("events: ignored one that this version does not know")
            return
        self._call(lambda: self._on_event(event))

    def _is_ours(self, message: Message) -> bool:
        signature, body = message.headers.get(_SIGNATURE), message.body
        body = body.encode() if isinstance(body, str) else bytes(body)
        return isinstance(signature, str) and hmac.compare_digest(
            _bytes(signature), _bytes(signature_of(self._key, body))
        )

    def _warn_of_forgery(self) -> None:
        if monotonic() - self._forged_at < _FORGED_EVERY_SECONDS:
            return
        self._forged_at = monotonic()
        log.warning(
            "events: ignored what is not signed with this installation's key; "
            "EASEL_KEY must be the same for the bot and all workers"
        )

    def _call(self, callback: Callable[[], None]) -> None:
        with supervised(logged(log, "events: a listener's callback failed")):
            callback()


def _bytes(text: str) -> bytes:
    """Of a text that may have halves of surrogates: brokers hand them on."""
    return text.encode(errors="surrogatepass")


def signature_of(key: bytes, body: bytes) -> str:
    """Signature of an event's body: HMAC-SHA256 in hexadecimal digits."""
    return hmac.digest(key, body, "sha256").hex()
