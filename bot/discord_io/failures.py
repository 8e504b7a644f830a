"""Failed requests to Discord as one classified error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import aiohttp
import discord

_UNKNOWN_WEBHOOK = 10015
_DEAD_TOKEN = frozenset({50027, _UNKNOWN_WEBHOOK, 10062, 40094})
"""Expired, unknown; or it has posted as many messages as it may."""
_UNKNOWN_MESSAGE = 10008
_NO_PLACE = frozenset({10003, 10004, 10013, 50001, 50007, 50013, 50083, 160005})
"""Unknown channel, guild, user; no access, closed DMs, no permission; archived or locked thread."""
_GONE = frozenset({10003, 10004})
_TOO_LARGE = 40005


class Failure(Enum):
    """Kinds of failed requests, by what is to be done about them."""

    NO_PLACE = auto()
    """Nothing can be posted there, and waiting does not help."""
    EXPIRED = auto()
    """The interaction's token is dead, or spent."""
    NO_MESSAGE = auto()
    """The message it is about was deleted."""
    TOO_LARGE = auto()
    LIMITED = auto()
    """Surely not done; later it may be."""
    UNCERTAIN = auto()
    """Discord or the connection broke: it may have been done."""
    INVALID = auto()
    """Discord does not understand it, and will not next time."""


_KNOWN = {_UNKNOWN_MESSAGE: Failure.NO_MESSAGE, _TOO_LARGE: Failure.TOO_LARGE}
FAILURES = (discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError)


class DiscordFailure(Exception):
    """A request that Discord refused, or that the connection to it lost."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.kind = _kind(error)
        self.code = error.code if isinstance(error, discord.HTTPException) else None
        """Discord's own number for it."""
        self.retry_after_s: float | None = getattr(error, "retry_after", None)

    @property
    def transient(self) -> bool:
        """True if the same request may succeed in a while."""
        return self.kind in (Failure.LIMITED, Failure.UNCERTAIN)

    @property
    def place_is_gone(self) -> bool:
        """True if the channel or guild is there no more, and with it all that was posted."""
        return self.code in _GONE

    @property
    def knows_no_token(self) -> bool:
        """True if Discord knows no such token: no more, or not before its interaction is answered."""
        return self.code == _UNKNOWN_WEBHOOK


@contextmanager
def classified() -> Iterator[None]:
    """Raise a failed request as a DiscordFailure."""
    try:
        yield
    except FAILURES as error:
        raise DiscordFailure(error) from error


def _kind(error: BaseException) -> Failure:
    if isinstance(error, discord.RateLimited | aiohttp.ClientConnectorError):
        return Failure.LIMITED
    if not isinstance(error, discord.HTTPException) or error.status >= 500:
        return Failure.UNCERTAIN
    if error.status == 429:
        return Failure.LIMITED
    if error.code in _DEAD_TOKEN:
        return Failure.EXPIRED
    if error.code in _KNOWN:
        return _KNOWN[error.code]
    if error.status == 413:
        return Failure.TOO_LARGE
    if error.code in _NO_PLACE or error.status == 403:
        return Failure.NO_PLACE
    # 401 without a code is the bot's own token: its operator has to act, and may.
    return Failure.LIMITED if error.status == 401 else Failure.INVALID
