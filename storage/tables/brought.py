"""Pictures that jobs start from: who brings them, and which jobs use them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import AUTOINCREMENT, Id, Millis, Snowflake, Table

_KEY = 200


class Bringing(Table):
    """A picture that a member's command, or a batch that waits for its yes, is about to use.

    Written before its file is kept, and for a day: after that only the jobs that use a picture keep it.
    """

    __tablename__ = "bringings"
    __table_args__ = (
        Index("ix_bringings_key", "key"),
        Index("ix_bringings_member_id", "member_id"),
        Index("ix_bringings_created_at", "created_at"),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(_KEY))
    """Key in the image store; the same bytes have the same key."""
    member_id: Mapped[int] = mapped_column(Snowflake)
    """No foreign key: a member who was refused before may have no row."""
    created_at: Mapped[int] = mapped_column(Millis)


class JobImage(Table):
    """A job's request names a picture that was brought, or composed for it."""

    __tablename__ = "job_pictures"
    __table_args__ = (Index("ix_job_pictures_job_id", "job_id"),)

    key: Mapped[str] = mapped_column(String(_KEY), primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), primary_key=True)


class Filling(Table):
    """A table that is filled from older rows while work goes on; gone once that is done."""

    __tablename__ = "fillings"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    after: Mapped[int] = mapped_column(Id)
    """The last of the older rows that was looked at."""
    until: Mapped[int] = mapped_column(Id)
    """The last one that there is to look at."""
