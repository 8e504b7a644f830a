"""Table of the place of the pictures that the rows name."""

from __future__ import annotations

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Millis, Table


class Store(Table):
    """The image store that belongs to this database; the one row is written by whoever comes first."""

    __tablename__ = "stores"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    marker: Mapped[str] = mapped_column(String(64))
    """Random; the same is in a file of the store."""
    place: Mapped[str] = mapped_column(Text)
    """The folder and machine from which it was noted: for people to read."""
    noted_at: Mapped[int] = mapped_column(Millis)
