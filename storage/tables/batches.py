"""Batches: several jobs of one prompt."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.addresses import AskedRow
from storage.tables.base import AUTOINCREMENT, Id, Millis, Table, one_of, partial_index

LIVE = "state IN ('proposed', 'confirmed')"


class Batch(AskedRow, Table):
    """Several jobs of one prompt: its permutations and repeats. Proposed, and made once its member says yes.

    `text` is what was typed, permutations and all. The token is the command's while proposed, then that of
    the press. It is in stealth where some of its jobs are.
    """

    __tablename__ = "batches"
    __table_args__ = (
        one_of("state", ("proposed", "confirmed", "declined", "expired", "finished")),
        partial_index("ix_batches_live", "id", where=LIVE),
        Index("ix_batches_member_id", "member_id"),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    size: Mapped[int] = mapped_column(Integer)
    planned: Mapped[list[dict[str, Any]]] = mapped_column("wishes", JSON)
    """Jobs to be, as they were shown; empty once they have rows, or never will."""
    state: Mapped[str] = mapped_column(String(20), default="proposed")
    expires_at: Mapped[int] = mapped_column(Millis)
    confirmed_at: Mapped[int | None] = mapped_column(Millis)
