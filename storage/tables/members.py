"""Members, and what they use."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Millis, Snowflake, Table, partial_index


class Member(Table):
    """A Discord user. The counters are what `claim` needs to be fair without reading the history."""

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint("waiting >= 0", "waiting"),
        CheckConstraint("running >= 0", "running"),
        partial_index("ix_members_turn", "served", "id", where="waiting > 0"),
    )

    id: Mapped[int] = mapped_column(Snowflake, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(100), default="")
    locale: Mapped[str | None] = mapped_column(String(10))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    served: Mapped[int] = mapped_column(BigInteger, default=0)
    """The turn at which a job of theirs was last claimed."""
    waiting: Mapped[int] = mapped_column(Integer, default=0)
    """Queued jobs that a worker may claim (held ones are not counted)."""
    running: Mapped[int] = mapped_column(Integer, default=0)
    running_limit: Mapped[int] = mapped_column(Integer, default=3)
    waiting_limit: Mapped[int] = mapped_column(Integer, default=10)
    singles: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """Jobs of theirs that were claimed since the last one of a batch, as far as it matters."""
    created_at: Mapped[int] = mapped_column(Millis)
    deleted_at: Mapped[int | None] = mapped_column(Millis)


class MemberUsage(Table):
    """A member's usage on one day (UTC)."""

    __tablename__ = "member_usage"

    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    jobs: Mapped[int] = mapped_column(Integer, default=0)
    images: Mapped[int] = mapped_column(Integer, default=0)
    busy_ms: Mapped[int] = mapped_column(BigInteger, default=0)
