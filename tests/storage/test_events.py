"""Events over each transport, and when the broker is killed under them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from kombu.transport.memory import Channel

from storage.broker import connection
from storage.contract import CancelEvent, ChangedEvent, Event, ProgressEvent
from storage.events import EXCHANGE, Events, Listener, signature_of
from tests.brokers import OwnBroker, free_port, wait_until

PROGRESS = ProgressEvent(job_id=2**40, attempt=2, fraction=0.31, preview=bytes(range(256)) * 80)
KEY = b"the installation's"
HALF = "\ud800"
"""Of a pair of surrogates: UTF-8 has no bytes for it."""
LONG_S = 5
"""Longer than a busy machine needs for what waits for no broker, and shorter than a broker is waited for."""


class Heard:
    """Keeps what a listener hears, and how often it had to come back."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reconnects = 0
        self._changed = threading.Condition()

    def event(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def reconnected(self) -> None:
        with self._changed:
            self.reconnects += 1
            self._changed.notify_all()

    def wait(self, true: Callable[[], bool], seconds: float = 30.0) -> bool:
        with self._changed:
            return self._changed.wait_for(true, seconds)


class Room:
    """Events with listeners that are stopped in the end."""

    def __init__(self) -> None:
        self._events: list[Events] = []
        self._listeners: list[Listener] = []

    def join(self, url: str, key: bytes = KEY) -> Events:
        self._events.append(Events(url, key))
        return self._events[-1]

    def listen(self, url: str) -> tuple[Heard, Listener]:
        heard = Heard()
        listener = self.join(url).listen(heard.event, heard.reconnected)
        self._listeners.append(listener)
        return heard, listener

    def close(self) -> None:
        for listener in self._listeners:
            listener.stop()
        for events in self._events:
            events.close()


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.close()


def test_every_listener_hears_every_event_in_order(broker_url: str, room: Room) -> None:
    first, one = room.listen(broker_url)
    second, other = room.listen(broker_url)
    assert one.wait_ready(30)
    assert other.wait_ready(30)
    speaker = room.join(broker_url)
    sent: list[Event] = [PROGRESS, ChangedEvent(job_id=7, sequence=3), CancelEvent(job_id=7)]
    started = time.monotonic()
    for event in sent:
        speaker.publish(event)
    for heard in (first, second):
        assert heard.wait(lambda heard=heard: len(heard.events) == 3)  # type: ignore[misc]
        assert heard.events == sent
    assert time.monotonic() - started < LONG_S
    assert first.reconnects == second.reconnects == 0


def test_a_listener_returns_when_the_broker_does(broker: OwnBroker, room: Room) -> None:
    heard, listener = room.listen(broker.url)
    speaker = room.join(broker.url)
    assert listener.wait_ready(30)
    speaker.publish(ChangedEvent(job_id=1, sequence=1))
    assert heard.wait(lambda: len(heard.events) == 1)
    broker.kill()
    started = time.monotonic()
    for _ in range(300):
        speaker.publish(PROGRESS)
    assert time.monotonic() - started < LONG_S, "whoever reports progress would wait for the broker"
    assert heard.reconnects < 1
    broker.start()
    assert heard.wait(lambda: heard.reconnects > 0, 60)
    assert listener.wait_ready(30)
    speaker.publish(CancelEvent(job_id=99))
    assert heard.wait(lambda: CancelEvent(job_id=99) in heard.events), "the speaker did not come back"
    assert heard.reconnects == 1


def test_a_listener_that_started_without_a_broker_rereads_once_there_is_one(
    own_redis: OwnBroker, room: Room
) -> None:
    own_redis.kill()
    heard, listener = room.listen(own_redis.url)
    assert not listener.wait_ready(0.3)
    own_redis.start()
    assert heard.wait(lambda: heard.reconnects == 1)


def test_a_silent_listener_keeps_its_connection(own_redis: OwnBroker, room: Room) -> None:
    heard, listener = room.listen(own_redis.url)
    assert listener.wait_ready(30)
    own_redis.pause()
    time.sleep(2.5)
    own_redis.resume()
    room.join(own_redis.url).publish(CancelEvent(job_id=5))
    assert heard.wait(lambda: heard.events == [CancelEvent(job_id=5)])


def test_publishing_without_a_broker_neither_waits_nor_raises(room: Room) -> None:
    events = room.join(f"amqp://127.0.0.1:{free_port()}//")
    started = time.monotonic()
    for _ in range(1000):
        events.publish(PROGRESS)
    assert time.monotonic() - started < LONG_S


def test_a_failing_callback_does_not_end_the_listener(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    def fragile(event: Event) -> None:
        if isinstance(event, CancelEvent):
            raise KeyError(event.job_id)
        heard.event(event)

    events = room.join("memory://")
    listener = events.listen(fragile, heard.reconnected)
    try:
        assert listener.wait_ready(30)
        events.publish(CancelEvent(job_id=4))
        events.publish(ChangedEvent(job_id=4, sequence=1))
        assert heard.wait(lambda: len(heard.events) == 1)
        assert "callback failed" in caplog.text
    finally:
        listener.stop()


def test_an_event_of_a_newer_version_is_ignored(own_redis: OwnBroker, room: Room) -> None:
    heard, listener = room.listen(own_redis.url)
    assert listener.wait_ready(30)
    body = b'{"kind": "praised", "job_id": 1}'
    _put(own_redis.url, body, signature_of(KEY, body))
    room.join(own_redis.url).publish(CancelEvent(job_id=3))
    assert heard.wait(lambda: heard.events == [CancelEvent(job_id=3)])


def _put(url: str, body: bytes, signature: object) -> None:
    """Publish as somebody who reaches the broker can."""
    headers = {} if signature is None else {"easel-signature": signature}
    with connection(url) as broker:
        broker.Producer().publish(
            body,
            exchange=EXCHANGE,
            declare=[EXCHANGE],
            headers=headers,
            content_type="application/json",
            content_encoding="utf-8",
        )


def test_an_event_that_is_not_ours_is_ignored_and_told_once(
    broker_url: str, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    heard, listener = room.listen(broker_url)
    assert listener.wait_ready(30)
    forged = CancelEvent(job_id=7).model_dump_json().encode()
    other = CancelEvent(job_id=8).model_dump_json().encode()
    for signature in (None, "", 7, "é", HALF, signature_of(b"another's", forged), signature_of(KEY, other)):
        _put(broker_url, forged, signature)
    room.join(broker_url, b"another's").publish(PROGRESS)
    room.join(broker_url).publish(CancelEvent(job_id=9))
    assert heard.wait(lambda: CancelEvent(job_id=9) in heard.events)
    listener.stop()
    assert heard.events == [CancelEvent(job_id=9)]
    assert heard.reconnects == 0, "it hears nothing while it comes back"
    assert caplog.text.count("EASEL_KEY") == 1


def test_what_cannot_be_decoded_is_not_ours(
    own_redis: OwnBroker, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    heard, listener = room.listen(own_redis.url)
    assert listener.wait_ready(30)
    to = {"delivery_tag": "1", "delivery_info": {"exchange": EXCHANGE.name, "routing_key": ""}}
    with connection(own_redis.url) as broker:
        for body, headers in ((HALF, {}), ("", {"compression": "none known"})):
            envelope = {
                "body": body,
                "headers": {"easel-signature": signature_of(KEY, b""), **headers},
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "properties": to,
            }
            broker.default_channel._put_fanout(EXCHANGE.name, envelope, "")
    room.join(own_redis.url).publish(CancelEvent(job_id=3))
    assert heard.wait(lambda: heard.events == [CancelEvent(job_id=3)])
    assert heard.reconnects == 0
    assert caplog.text.count("EASEL_KEY") == 1


def test_a_stopped_listener_leaves_no_queue_behind_in_memory(room: Room) -> None:
    before = set(Channel.queues)  # other tests' in this process
    _, listener = room.listen("memory://")
    assert listener.wait_ready(30)
    listener.stop()
    events = room.join("memory://")
    events.publish(PROGRESS)
    events.close()
    kept = {name: queue.qsize() for name, queue in Channel.queues.items() if name not in before}
    assert not any(kept.values()), kept


def test_a_busy_listener_is_not_cut_off(
    own_rabbitmq: OwnBroker, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only receives; the heartbeats that it owes the broker must be sent in the middle of the stream."""
    monkeypatch.setattr("storage.events._HEARTBEAT_SECONDS", 2.0)
    heard, listener = room.listen(own_rabbitmq.url)
    assert listener.wait_ready(30)
    speaker = room.join(own_rabbitmq.url)
    until = time.monotonic() + 7
    while time.monotonic() < until:
        speaker.publish(ChangedEvent(job_id=1, sequence=1))
        time.sleep(0.05)
    assert wait_until(lambda: len(heard.events) >= 100)
    assert heard.reconnects == 0
