"""Guilds, and what their moderators do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import AUTOINCREMENT, Id, Millis, Snowflake, Table, one_of, partial_index

EXPIRING = "lifted_at IS NULL AND expires_at IS NOT NULL"
UNDECIDED = "verdict IS NULL"
IN_FORCE = "lifted_at IS NULL"


class Guild(Table):
    __tablename__ = "guilds"

    id: Mapped[int] = mapped_column(Snowflake, primary_key=True, autoincrement=False)
    locale: Mapped[str | None] = mapped_column(String(10))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    paused_at: Mapped[int | None] = mapped_column(Millis)
    created_at: Mapped[int] = mapped_column(Millis)


class Ban(Table):
    __tablename__ = "bans"
    __table_args__ = (
        one_of("scope", ("guild", "operator")),
        Index("ix_bans_member_id", "member_id"),
        partial_index("ix_bans_expiring", "expires_at", where=EXPIRING),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    scope: Mapped[str] = mapped_column(String(10))
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    member_id: Mapped[int] = mapped_column(Snowflake)
    reason: Mapped[str] = mapped_column(Text, default="")
    banned_by: Mapped[int] = mapped_column(Snowflake)
    created_at: Mapped[int] = mapped_column(Millis)
    expires_at: Mapped[int | None] = mapped_column(Millis)
    lifted_at: Mapped[int | None] = mapped_column(Millis)


class Report(Table):
    """A job that a member showed to the moderators of a guild; open until one of them has decided."""

    __tablename__ = "reports"
    __table_args__ = (
        one_of("verdict", ("withheld", "dismissed")),
        UniqueConstraint("job_id", "guild_id", "reporter_id"),
        partial_index("ix_reports_undecided", "guild_id", "id", where=UNDECIDED),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    guild_id: Mapped[int] = mapped_column(Snowflake)
    reporter_id: Mapped[int] = mapped_column(Snowflake)
    created_at: Mapped[int] = mapped_column(Millis)
    verdict: Mapped[str | None] = mapped_column(String(20))
    decided_by: Mapped[int | None] = mapped_column(Snowflake)
    decided_at: Mapped[int | None] = mapped_column(Millis)


class Takedown(Table):
    """A job's pictures, or one of them, that are shown no more where somebody has so decided."""

    __tablename__ = "takedowns"
    __table_args__ = (
        partial_index("ix_takedowns_in_force", "job_id", "guild_id", where=IN_FORCE),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    """None for everywhere, by the operator's decision."""
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id"))
    """None for all of them."""
    decided_by: Mapped[int] = mapped_column(Snowflake)
    created_at: Mapped[int] = mapped_column(Millis)
    lifted_at: Mapped[int | None] = mapped_column(Millis)


class AuditEntry(Table):
    """One act of a moderator. Each hash covers the entry before it: none can be taken out unseen."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_guild_id", "guild_id", "id"), AUTOINCREMENT)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[int] = mapped_column(Millis)
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    actor_id: Mapped[int] = mapped_column(Snowflake)
    action: Mapped[str] = mapped_column(String(50))
    target_id: Mapped[int | None] = mapped_column(Snowflake)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    prev_hash: Mapped[str] = mapped_column(String(64), unique=True)
    hash: Mapped[str] = mapped_column(String(64))
