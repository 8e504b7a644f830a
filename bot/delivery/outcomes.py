"""Means and outcomes of a try at a delivery, and the end of its progress message."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import discord

from bot import messages
from bot.delivery.progress import ProgressBoard
from bot.discord_io import posting
from bot.discord_io.failures import DiscordFailure
from bot.discord_io.posting import ProgressPlace
from storage import takedowns
from storage.backends import Backends
from storage.clock import Clock
from storage.errors import Refused
from storage.tables import Job

T = TypeVar("T")
R = TypeVar("R")

ProgressChange = Callable[[ProgressPlace], Coroutine[Any, Any, object]]
"""A request that changes the progress message in a place."""

ANSWER_MS = 1_000


class DeliveryError(Exception):
    """A try at a delivery that posted no message; what follows from each class is up to `DeliveryWorker`."""


class RetryLater(DeliveryError):
    """To be tried again; `refused` where Discord surely posted nothing."""

    def __init__(self, reason: str, delay_ms: int | None = None, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.delay_ms = delay_ms
        self.refused = refused


class Undeliverable(DeliveryError):
    """There is no place where this can be posted; `refused`: because it may not be."""

    def __init__(self, reason: str, refused: Refused | None = None) -> None:
        super().__init__(reason)
        self.refused = refused


class Redirected(DeliveryError):
    """It goes to the member's direct messages from now on."""


class FileTooLarge(DeliveryError):
    """Discord takes no file of this size here."""


class Request(Protocol):
    def __call__(self, work: Coroutine[Any, Any, T], /) -> T:
        """Await a request to Discord, from a thread.

        Raises:
            DiscordFailure: the try is repeated later where nobody knows better.
        """


@dataclass(frozen=True)
class Outbox:
    """Everything with which a delivery is sent: client, stores, progress board, and a sender of requests."""

    client: discord.Client
    backends: Backends
    board: ProgressBoard
    request: Request

    def read(self, query: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        with self.backends.database.reading() as session:
            return query(session, *args, **kwargs)

    def write(self, change: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        with self.backends.database.writing() as session:
            return change(session, *args, **kwargs)


def places(job: Job, clock: Clock) -> list[ProgressPlace]:
    """Places in which the progress message can be reached, best first."""
    found = [ProgressPlace.of(job, clock), ProgressPlace.in_channel(job)]
    return list(dict.fromkeys(place for place in found if place is not None))


def check(failure: DiscordFailure, job: Job, clock: Clock, *, refused: bool = True) -> None:
    """Raise RetryLater where the progress message can be reached in a while."""
    if failure.transient:
        raise RetryLater(str(failure), refused=refused) from failure
    answered = job.progress_message_id is not None
    if not answered and clock.since(job.created_at) < posting.ANSWERED_WITHIN_MS:
        raise RetryLater("the command is not answered yet", ANSWER_MS, refused=refused)


def sentence(outbox: Outbox, job: Job) -> str:
    """Reason why a finished job's pictures are not shown."""
    if outbox.read(takedowns.everywhere, job.id):
        return messages.withheld_everywhere(job)
    return messages.without_pictures(job)


def remove_progress(outbox: Outbox, job: Job, clock: Clock, *, patient: bool) -> None:
    """Delete the progress message; `patient`: raise RetryLater where that can be done in a while."""
    _tidy_progress(outbox, job, clock, lambda place: posting.delete(outbox.client, place), patient=patient)


def strip_progress(outbox: Outbox, job: Job, clock: Clock, *, patient: bool) -> None:
    """Leave the sentence alone in the progress message, without the picture that it kept."""
    said = sentence(outbox, job)
    _tidy_progress(
        outbox, job, clock, lambda place: posting.edit(outbox.client, place, said), patient=patient
    )


def _tidy_progress(outbox: Outbox, job: Job, clock: Clock, change: ProgressChange, *, patient: bool) -> None:
    def on_failure(failure: DiscordFailure) -> None:
        if patient:
            check(failure, job, clock)

    outbox.board.close(job.id)
    change_progress(outbox, places(job, clock), change, on_failure)


def change_progress(
    outbox: Outbox,
    places: Iterable[ProgressPlace],
    change: ProgressChange,
    on_failure: Callable[[DiscordFailure], None],
) -> bool:
    """Change the progress message in the first place where it can be reached; False where there is none.

    `on_failure` hears of each place where it cannot be, and may raise.
    """
    for place in places:
        try:
            outbox.request(change(place))
        except DiscordFailure as failure:
            on_failure(failure)
        else:
            return True
    return False
