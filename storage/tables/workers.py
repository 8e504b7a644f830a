"""Tables of the workers that claim jobs, and of the turns in which they do."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import AUTOINCREMENT, Id, Millis, Table


class WorkerRow(Table):
    """One incarnation of a worker process; its lease keeps all its jobs."""

    __tablename__ = "workers"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    models: Mapped[list[str]] = mapped_column(JSON)
    """Names of the models that it serves."""
    broken: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    """Reason, by a model's name, why it cannot load it."""
    started_at: Mapped[int] = mapped_column(Millis)
    lease_until: Mapped[int] = mapped_column(Millis)
    renewals: Mapped[int] = mapped_column(BigInteger, default=0)
    stopped_at: Mapped[int | None] = mapped_column(Millis)
    draining_at: Mapped[int | None] = mapped_column(Millis)
    """Time at which it last took no job because one waits that must run in a worker of its own."""
    lacks: Mapped[str | None] = mapped_column(String(20))
    """The kind of room it has too little of to take any job."""


class Turn(Table):
    """Only the counter of its ids is used: a turn's number. The table stays empty."""

    __tablename__ = "turns"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
