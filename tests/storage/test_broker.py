"""Tickets over each transport, and when the broker is killed under them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from storage.broker import Sender, Tickets
from tests.brokers import OwnBroker, free_port, wait_until


class Arrivals:
    """Counts calls, and can be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, count: int, seconds: float = 30.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, seconds)


LONG_S = 10
"""Longer than a busy machine needs for what waits for no broker, and shorter than a broker is waited for."""

Open = Callable[[str], Tickets]


@pytest.fixture
def open_tickets() -> Iterator[Open]:
    opened: list[Tickets] = []

    def open_(url: str) -> Tickets:
        opened.append(Tickets(url))
        return opened[-1]

    yield open_
    for tickets in opened:
        tickets.close()


def test_a_ticket_wakes_the_other_side(broker_url: str, open_tickets: Open) -> None:
    bot, worker = open_tickets(broker_url), open_tickets(broker_url)
    arrived = Arrivals()
    listener = worker.listen(arrived, name="easel@test")
    try:
        assert listener.wait_ready(30)
        bot.send()
        assert arrived.wait(1)
        times = []
        for count in range(2, 7):
            started = time.monotonic()
            bot.send()
            assert arrived.wait(count)
            times.append(time.monotonic() - started)
        # Had it to be polled for, each would wait for the next poll: it was sent just after one.
        assert min(times) < 0.25, times
    finally:
        listener.stop()


def test_a_listener_stops_at_once_and_another_takes_over(broker_url: str, open_tickets: Open) -> None:
    tickets = open_tickets(broker_url)
    times = []
    for _ in range(3):
        arrived = Arrivals()
        listener = tickets.listen(arrived, name="easel@test")
        assert listener.wait_ready(30)
        tickets.send()
        assert arrived.wait(1)
        started = time.monotonic()
        listener.stop()
        times.append(time.monotonic() - started)
    assert min(times) < 1.5, times
    assert not [thread for thread in threading.enumerate() if thread.name == "celery"]


def test_tickets_come_again_after_the_broker_was_killed(broker: OwnBroker, open_tickets: Open) -> None:
    bot, worker = open_tickets(broker.url), open_tickets(broker.url)
    arrived = Arrivals()
    listener = worker.listen(arrived, name="easel@test")
    try:
        assert listener.wait_ready(30)
        bot.send()
        assert arrived.wait(1)
        broker.kill()
        started = time.monotonic()
        for _ in range(20):
            bot.send()
        assert time.monotonic() - started < 5, "the member would wait for a broker that is not there"
        broker.start()

        def woken() -> bool:
            count = arrived.count
            bot.send()
            return arrived.wait(count + 1, 0.3)

        assert wait_until(woken, 60)
    finally:
        listener.stop()


def test_a_listener_without_a_broker_can_be_stopped(open_tickets: Open) -> None:
    tickets = open_tickets(f"redis://127.0.0.1:{free_port()}/0")
    listener = tickets.listen(lambda: None, name="easel@test")
    assert not listener.wait_ready(0.5)
    started = time.monotonic()
    listener.stop()
    assert time.monotonic() - started < LONG_S
    assert not [thread for thread in threading.enumerate() if thread.name == "celery"]


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_sending_never_waits(scheme: str, open_tickets: Open) -> None:
    tickets = open_tickets(f"{scheme}://127.0.0.1:{free_port()}/0")
    started = time.monotonic()
    for _ in range(1000):
        tickets.send()
    assert time.monotonic() - started < LONG_S


def test_sending_does_not_wait_for_a_broker_that_hangs(own_redis: OwnBroker) -> None:
    sender = Sender(own_redis.url, "test")
    done = Arrivals()
    sender.give(lambda _producer: done())
    assert done.wait(1)
    own_redis.pause()
    try:
        started = time.monotonic()
        for _ in range(1000):
            sender.give(lambda producer: producer.publish({}, exchange="", routing_key="easel.test"))
        sender.close(timeout=0.2)
        assert time.monotonic() - started < LONG_S
    finally:
        own_redis.resume()
        assert wait_until(lambda: not [t for t in threading.enumerate() if t.name == "test"])


def test_what_waits_is_sent_before_closing(own_redis: OwnBroker) -> None:
    sender = Sender(own_redis.url, "test")
    sent = Arrivals()
    for _ in range(100):
        sender.give(lambda _producer: sent())
    sender.close()
    assert sent.count == 100
    sender.give(lambda _producer: sent())
    assert sent.count == 100
