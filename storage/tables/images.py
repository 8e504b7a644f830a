"""Pictures, and the members who marked them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import AUTOINCREMENT, Id, Millis, Table


class Image(Table):
    """One picture of one attempt. Its parent and the action that made it are its job's."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "index"),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int] = mapped_column(Integer)
    index: Mapped[int] = mapped_column(Integer)
    seed: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    key: Mapped[str] = mapped_column(String(300))
    """Key in the image store; never a link of Discord's."""
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes of the file."""
    safety_scores: Mapped[dict[str, Any]] = mapped_column(default=dict)
    withheld: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[int] = mapped_column(Millis)
    deleted_at: Mapped[int | None] = mapped_column(Millis)


class Favorite(Table):
    __tablename__ = "favorites"

    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    created_at: Mapped[int] = mapped_column(Millis)
