"""Exports: a member's data that is being put together."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.addresses import UPLOAD_LIMIT, Addressed
from storage.tables.base import AUTOINCREMENT, Id, Millis, Table


class Export(Addressed, Table):
    """A part of a member's data that they wait for, one at a time; gone once it is handed over."""

    __tablename__ = "exports"
    __table_args__ = (UniqueConstraint("member_id"), AUTOINCREMENT)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    after: Mapped[int | None] = mapped_column(Id)
    """The picture after which this part begins; None for the first one, which has the rows too."""
    upload_limit: Mapped[int] = mapped_column(BigInteger, default=UPLOAD_LIMIT)
    sent: Mapped[int] = mapped_column(Integer, default=0)
    """Archives that the member has already."""
    cursor: Mapped[int | None] = mapped_column(Id)
    """The picture after which the next archive begins; None as long as rows are left to be sent."""
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """Since the last archive."""
    due_at: Mapped[int] = mapped_column(Millis)
    """Not before this; pushed on while a bot is at it."""
    created_at: Mapped[int] = mapped_column(Millis)
