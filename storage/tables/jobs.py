"""Jobs: the contract between bot and worker, as rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.contract import JobState, Speed
from storage.tables.addresses import UPLOAD_LIMIT, AskedRow
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
from storage.tables.brought import JobImage

# Written into the statements as they stand here: with a bound value a planner may not see that the index
# fits. So are the other tables' conditions.
QUEUED = "state = 'queued'"
RELAXED = "state = 'queued' AND priority < 0"
RUNNING = "state = 'running'"
UNFINISHED = "state IN ('queued', 'running')"


class Job(AskedRow, Table):
    """One request of a member, drawn or found in words: waiting, running, or finished for ever.

    The token finishes the progress message, also after a restart.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", JobState),
        one_of("speed", Speed),
        partial_index("ix_jobs_queued", "member_id", "id", where=QUEUED),
        partial_index("ix_jobs_relaxed", "member_id", where=RELAXED),
        partial_index("ix_jobs_running", "worker_id", where=RUNNING),
        partial_index("ix_jobs_unfinished", "guild_id", "id", where=UNFINISHED),
        Index("ix_jobs_history", "member_id", "id"),
        filled_index("ix_jobs_press", "press"),
        filled_index("ix_jobs_batch_id", "batch_id"),
        filled_index("ix_jobs_parent_job_id", "parent_job_id"),
        filled_index("ix_jobs_parent_image_id", "parent_image_id"),
        filled_index("ix_jobs_progress_message_id", "progress_message_id"),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batches.id"))
    """The batch it is one of: all of them take one place among the waiting, and one message tells of them."""

    action: Mapped[str] = mapped_column(String(30))
    parent_job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    parent_image_id: Mapped[int | None] = mapped_column(
        ForeignKey("images.id", use_alter=True, name="fk_jobs_parent_image_id_images")
    )
    parent_index: Mapped[int | None] = mapped_column(Integer)
    """Index of the parent in its grid (0–3)."""
    model: Mapped[str] = mapped_column(String(100))
    request: Mapped[dict[str, Any]]
    request_version: Mapped[int] = mapped_column(Integer)

    state: Mapped[str] = mapped_column(String(20), default=JobState.QUEUED.value)
    sequence: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    handbacks: Mapped[int] = mapped_column(Integer, default=0)
    """Attempts that ended without fault of the job (a worker shut down); they do not count to the three."""
    suspect: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It was lost together with its worker, and so may be what killed it: it runs in a worker of its own."""
    due_at: Mapped[int | None] = mapped_column(Millis)
    """Not to be claimed again before: it pauses after an attempt that failed. None: at once."""
    speed: Mapped[str] = mapped_column(String(10), default=Speed.FAST.value)
    priority: Mapped[int] = mapped_column(Integer, default=Speed.FAST.priority)
    """The speed's; a column of its own so that claims can order by it."""
    held: Mapped[bool] = mapped_column(default=False)
    """Waiting, but not to be claimed: its guild is paused or its member banned."""
    worker_id: Mapped[int | None] = mapped_column(ForeignKey("workers.id"))
    error_code: Mapped[str | None] = mapped_column(String(50))
    error_detail: Mapped[str | None] = mapped_column(Text)
    timings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Words that it found: a description's prompts, a prompt's weights, a blend's descriptions."""
    movie_key: Mapped[str | None] = mapped_column(String(200))
    """Key in the image store of the movie of its forming pictures (animated WebP), if one was asked for."""

    uses: Mapped[list[JobImage]] = relationship(lazy="raise", passive_deletes="all")
    """Pictures that its request names: written with it, and never read through it."""

    started_at: Mapped[int | None] = mapped_column(Millis)
    finished_at: Mapped[int | None] = mapped_column(Millis)
    deadline: Mapped[int | None] = mapped_column(Millis)

    press: Mapped[str | None] = mapped_column(String(150))
    """Member and custom_id of the button that made it: the same press within three seconds is one job."""
    reply_to: Mapped[int | None] = mapped_column(Snowflake)
    upload_limit: Mapped[int] = mapped_column(BigInteger, default=UPLOAD_LIMIT)
    deleted_at: Mapped[int | None] = mapped_column(Millis)
    """Its member deleted their data: the row stays, empty, for the messages and jobs that point to it."""
