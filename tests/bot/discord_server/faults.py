"""What goes wrong on purpose: errors, limits, and connections that are cut after a request was accepted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from tests.bot.discord_server.judge import Call
from tests.bot.discord_server.world import Json


class Refusal(Exception):
    """An answer of Discord's that is no success."""

    def __init__(
        self, status: int, code: int, message: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.headers = headers or {}
        self.body: Json = {"code": code, "message": message, **more}


def rate_limited(retry_after: float, *, via: bool = True) -> Refusal:
    """429; without a Via header it is what Cloudflare's ban looks like."""
    headers = {"Via": "1.1 google"} if via else {}
    return Refusal(
        429, 0, "You are being rate limited.", headers=headers, retry_after=retry_after, **{"global": False}
    )


def unknown_channel() -> Refusal:
    return Refusal(404, 10003, "Unknown Channel")


def unknown_message() -> Refusal:
    return Refusal(404, 10008, "Unknown Message")


def unknown_webhook() -> Refusal:
    return Refusal(404, 10015, "Unknown Webhook")


def missing_access() -> Refusal:
    return Refusal(403, 50001, "Missing Access")


def missing_permissions() -> Refusal:
    return Refusal(403, 50013, "Missing Permissions")


def closed_dms() -> Refusal:
    return Refusal(403, 50007, "Cannot send messages to this user")


def expired_token() -> Refusal:
    return Refusal(401, 50027, "Invalid Webhook Token")


@dataclass
class Fault:
    """Meets requests of one kind, `times` times.

    `refusal` is answered instead, and `then` after the work was done; `cut` does the work and then drops the
    connection without an answer; `hold` keeps the answer back (after the work was done) until the event is
    set.
    """

    method: str
    ending: str
    """How the request's path template ends."""
    times: int = 1
    refusal: Refusal | None = None
    then: Refusal | None = None
    cut: bool = False
    hold: threading.Event | None = None
    met: int = 0

    def meets(self, call: Call) -> bool:
        return self.met < self.times and call.method == self.method and call.template.endswith(self.ending)


@dataclass
class Faults:
    waiting: list[Fault] = field(default_factory=list)

    def add(self, method: str, ending: str, **options: Any) -> Fault:
        fault = Fault(method, ending, **options)
        self.waiting.append(fault)
        return fault

    def take(self, call: Call) -> Fault | None:
        for fault in self.waiting:
            if fault.meets(call):
                fault.met += 1
                return fault
        return None
