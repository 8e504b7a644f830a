"""Tables of what must reach a member, and of the messages in which it did."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.addresses import UPLOAD_LIMIT, Addressed
from storage.tables.base import (
    AUTOINCREMENT,
    Id,
    Millis,
    Snowflake,
    Table,
    filled_index,
    one_of,
    partial_index,
)

STATES = ("open", "posted", "withdrawn", "done", "given_up")
OPEN = "state IN ('open', 'posted', 'withdrawn')"
"""Something is left to do: to post, to tidy up, or to take away."""


class Delivery(Addressed, Table):
    """Something that must reach a member: written before the request to Discord and closed after it.

    `open` until its message is known, then `posted` until the progress message is gone, then `done`; or
    `given_up`. `withdrawn`: its pictures were taken away before it was done, so what an attempt has perhaps
    posted is looked for and deleted.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        one_of("state", STATES),
        partial_index("ix_deliveries_open", "due_at", where=OPEN),
        Index("ix_deliveries_job_id", "job_id"),
        Index("ix_deliveries_member_id", "member_id"),
        filled_index("ix_deliveries_image_id", "image_id"),
        UniqueConstraint("once"),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id"))
    """For a single picture (U): which one; None for the whole result."""
    kind: Mapped[str] = mapped_column(String(20))
    """`result` (a finished job, whatever its state), `single` (U), `again` (/show) or `direct` (a copy of the
    result for its member's direct messages)."""
    once: Mapped[str] = mapped_column(String(100))
    """Unique: the result of a job is `result:<job>`, a press of U is `press:<interaction id>`."""
    reply_to: Mapped[int | None] = mapped_column(Snowflake)
    upload_limit: Mapped[int] = mapped_column(BigInteger, default=UPLOAD_LIMIT)
    ephemeral: Mapped[bool] = mapped_column(default=False)
    """Shown to its member alone."""
    state: Mapped[str] = mapped_column(String(20), default="open")
    tries: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[int] = mapped_column(Millis)
    """Not before this; pushed on when a try fails, and while a bot holds it."""
    attempted_at: Mapped[int | None] = mapped_column(Millis)
    """Committed before the request: when set, and no message is known, look before posting again."""
    attempted_by: Mapped[str | None] = mapped_column(String(10))
    """Way of the attempt: a message in the `channel`, an edit of the `answer` to the command, which may be
    repeated, or a new message by the interaction's `token`.
    """
    failures: Mapped[int] = mapped_column(Integer, default=0)
    """Errors that nobody foresaw, so far: they are bounded, unlike Discord's."""
    message_id: Mapped[int | None] = mapped_column(Snowflake)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(Millis)

    @property
    def by_token_alone(self) -> bool:
        """True if only the interaction's token can post it in the place from which it was asked for."""
        return self.user_install or self.ephemeral


class Message(Table):
    """A message of ours that shows pictures, so that it can be found, jumped to and taken away."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(Snowflake, primary_key=True, autoincrement=False)
    channel_id: Mapped[int] = mapped_column(Snowflake)
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id"))
    ephemeral: Mapped[bool] = mapped_column(default=False)
    """Seen by its member alone, and reached by its interaction's token alone: nothing to reply or jump to."""
    created_at: Mapped[int] = mapped_column(Millis)
    deleted_at: Mapped[int | None] = mapped_column(Millis)
