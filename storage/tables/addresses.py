"""Addresses: who asked, where, and how the answer reaches them; and the rows that have one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from storage.monotonic import monotonic
from storage.tables.base import Millis, Snowflake

UPLOAD_LIMIT = 10 * 2**20
"""Bytes that Discord takes in one file everywhere."""
SAME_PRESS_MS = 3_000
TOKEN_MS = 15 * 60_000
"""The life of an interaction's token."""


@dataclass(frozen=True)
class Address:
    """A request's sender and place, and the way on which its answer reaches them.

    Ids are Discord's; the token lives until `token_expires_at` (epoch milliseconds by the database's clock).
    An address that was not read from a row has `heard` instead, since only the database can tell the time.
    """

    member_id: int
    guild_id: int | None = None
    """None in direct messages."""
    channel_id: int | None = None
    reply_to: int | None = None
    """Message whose button was pressed, where everybody sees it."""
    locale: str | None = None
    upload_limit: int = UPLOAD_LIMIT
    """Bytes that one file of the answer may have."""
    user_install: bool = False
    """Asked for where only the member has installed Easel: results go through the token."""
    interaction_token: str | None = field(default=None, repr=False)
    token_expires_at: int | None = None
    heard: float | None = field(default=None, compare=False)
    """Monotonic seconds at which the interaction came in."""

    def token_ends(self, at: int) -> int | None:
        """The end of the token's life, `at` being the present by the database's clock."""
        if self.token_expires_at is not None or self.heard is None:
            return self.token_expires_at
        return at - int((monotonic() - self.heard) * 1000) + TOKEN_MS

    def columns_of(self, table: type[Addressed], at: int) -> dict[str, Any]:
        """The address as columns of a new row, `at` being the present by the database's clock."""
        columns = {name: getattr(self, name) for name in _COLUMNS if hasattr(table, name)}
        return {**columns, "token_expires_at": self.token_ends(at)}

    def ephemeral(self, *, stealth: bool) -> bool:
        """True if only the member is to see an answer here; in direct messages nobody else can."""
        return stealth and (self.guild_id is not None or self.user_install)

    def same_moment(self, table: type[Addressed], at: int) -> ColumnElement[bool]:
        """SQL condition for rows that were asked for less than three seconds before or after, as the ends of
        the tokens tell.

        When they were written does not: on a busy machine one press waits longer than the other.
        """
        end = self.token_ends(at)
        if end is None:
            return false()
        first, last = end - SAME_PRESS_MS, end + SAME_PRESS_MS
        return (table.token_expires_at > first) & (table.token_expires_at < last)


_COLUMNS = tuple(part.name for part in fields(Address) if part.name != "heard")


class Addressed:
    """The columns of an address. Where a batch has no `reply_to` and `upload_limit`, its jobs have them."""

    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    channel_id: Mapped[int | None] = mapped_column(Snowflake)
    locale: Mapped[str | None] = mapped_column(String(10))
    user_install: Mapped[bool] = mapped_column(default=False)
    interaction_token: Mapped[str | None] = mapped_column(Text)
    """Wiped as soon as nobody will need it any more."""
    token_expires_at: Mapped[int | None] = mapped_column(Millis)

    @property
    def address(self) -> Address:
        return Address(**{name: getattr(self, name) for name in _COLUMNS if hasattr(self, name)})


class AskedRow(Addressed):
    """Columns of what a member asked for, a job or a batch, and of the message that tells how far it is."""

    text: Mapped[str] = mapped_column(Text)
    """The whole prompt as it is shown, flags included."""
    created_at: Mapped[int] = mapped_column(Millis)
    cancel_requested_at: Mapped[int | None] = mapped_column(Millis)
    interaction_id: Mapped[int | None] = mapped_column(Snowflake, unique=True)
    stealth: Mapped[bool] = mapped_column(default=False)
    """Only its member and the moderators may see it."""
    progress_message_id: Mapped[int | None] = mapped_column(Snowflake)

    @property
    def ephemeral(self) -> bool:
        """True if its messages are shown to its member alone."""
        return self.address.ephemeral(stealth=self.stealth)

    @property
    def by_token_alone(self) -> bool:
        """True if only the interaction's token reaches its messages."""
        return self.user_install or self.ephemeral
