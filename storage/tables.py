"""The tables. Times are epoch milliseconds of the database's clock; Discord ids are 64-bit."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.contract import JobState, Speed

# BigInteger does not autoincrement on SQLite; AUTOINCREMENT there so that no id is ever used twice:
# an old button must never point to another job.
Id = BigInteger().with_variant(Integer, "sqlite")
Millis = BigInteger
Snowflake = BigInteger

# Written into the statements as they stand here: with a bound value a planner may not see that the index
# fits.
QUEUED = "state = 'queued'"
RELAXED = "state = 'queued' AND priority < 0"
RUNNING = "state = 'running'"
UNFINISHED = "state IN ('queued', 'running')"
OPEN = "state = 'open'"
EXPIRING = "lifted_at IS NULL AND expires_at IS NOT NULL"
LIVE = "state IN ('proposed', 'confirmed')"
UNDECIDED = "verdict IS NULL"

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map: ClassVar = {dict[str, Any]: JSON, list[str]: JSON}


def _one_of(column: str, values: type[JobState | Speed] | tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


def _partial_index(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _filled_index(name: str, column: str) -> Index:
    """Of the rows that have a value: were the many without one in it, a planner would think little of it."""
    return _partial_index(name, column, where=f"{column} IS NOT NULL")


def is_ephemeral(guild_id: int | None, *, stealth: bool, user_install: bool) -> bool:
    """Whether only its member is to see an answer in this place; in direct messages nobody else can."""
    return stealth and (guild_id is not None or user_install)


class Member(Table):
    """A Discord user. The counters are what `claim` needs to be fair without reading the history."""

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint("waiting >= 0", "waiting"),
        CheckConstraint("running >= 0", "running"),
        _partial_index("ix_members_turn", "served", "id", where="waiting > 0"),
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
    created_at: Mapped[int] = mapped_column(Millis)
    deleted_at: Mapped[int | None] = mapped_column(Millis)


class MemberUsage(Table):
    """What a member used on one day (UTC)."""

    __tablename__ = "member_usage"

    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    jobs: Mapped[int] = mapped_column(Integer, default=0)
    images: Mapped[int] = mapped_column(Integer, default=0)
    busy_ms: Mapped[int] = mapped_column(BigInteger, default=0)


class Turn(Table):
    """Only the counter of its ids is used: a turn's number. The table stays empty."""

    __tablename__ = "turns"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)


class Guild(Table):
    __tablename__ = "guilds"

    id: Mapped[int] = mapped_column(Snowflake, primary_key=True, autoincrement=False)
    locale: Mapped[str | None] = mapped_column(String(10))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    paused_at: Mapped[int | None] = mapped_column(Millis)
    created_at: Mapped[int] = mapped_column(Millis)


class Worker(Table):
    """One incarnation of a worker process; its lease keeps all its jobs."""

    __tablename__ = "workers"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    models: Mapped[list[str]] = mapped_column(JSON)
    started_at: Mapped[int] = mapped_column(Millis)
    lease_until: Mapped[int] = mapped_column(Millis)
    renewals: Mapped[int] = mapped_column(BigInteger, default=0)
    stopped_at: Mapped[int | None] = mapped_column(Millis)


class Batch(Table):
    """Several jobs of one wish: its permutations and repeats. Proposed, and made once its member says yes."""

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(
            _one_of("state", ("proposed", "confirmed", "declined", "expired", "finished")), "state"
        ),
        _partial_index("ix_batches_live", "id", where=LIVE),
        Index("ix_batches_member_id", "member_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    channel_id: Mapped[int | None] = mapped_column(Snowflake)
    text: Mapped[str] = mapped_column(Text)
    """The prompt as it was typed, permutations and all."""
    size: Mapped[int] = mapped_column(Integer)
    wishes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """What each of its jobs will be, as it was shown; empty once they have rows, or never will."""
    state: Mapped[str] = mapped_column(String(20), default="proposed")
    created_at: Mapped[int] = mapped_column(Millis)
    expires_at: Mapped[int] = mapped_column(Millis)
    confirmed_at: Mapped[int | None] = mapped_column(Millis)
    cancel_requested_at: Mapped[int | None] = mapped_column(Millis)
    interaction_id: Mapped[int | None] = mapped_column(Snowflake, unique=True)
    """The command's."""
    locale: Mapped[str | None] = mapped_column(String(10))
    user_install: Mapped[bool] = mapped_column(default=False)
    stealth: Mapped[bool] = mapped_column(default=False)
    """Some of its jobs are; its message then is as theirs."""
    interaction_token: Mapped[str | None] = mapped_column(Text)
    """The command's while proposed, then that of the press; wiped with the batch's last word."""
    token_expires_at: Mapped[int | None] = mapped_column(Millis)
    progress_message_id: Mapped[int | None] = mapped_column(Snowflake)

    @property
    def ephemeral(self) -> bool:
        """Whether its messages are shown to its member alone."""
        return is_ephemeral(self.guild_id, stealth=self.stealth, user_install=self.user_install)

    @property
    def by_token_alone(self) -> bool:
        """Whether only the interaction's token reaches its messages."""
        return self.user_install or self.ephemeral


class Job(Table):
    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("state", JobState), "state"),
        CheckConstraint(_one_of("speed", Speed), "speed"),
        _partial_index("ix_jobs_queued", "member_id", "id", where=QUEUED),
        _partial_index("ix_jobs_relaxed", "member_id", where=RELAXED),
        _partial_index("ix_jobs_running", "worker_id", where=RUNNING),
        _partial_index("ix_jobs_unfinished", "guild_id", "id", where=UNFINISHED),
        Index("ix_jobs_history", "member_id", "id"),
        _filled_index("ix_jobs_press", "press"),
        _filled_index("ix_jobs_batch_id", "batch_id"),
        _filled_index("ix_jobs_parent_job_id", "parent_job_id"),
        _filled_index("ix_jobs_parent_image_id", "parent_image_id"),
        _filled_index("ix_jobs_progress_message_id", "progress_message_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    """None in direct messages."""
    channel_id: Mapped[int | None] = mapped_column(Snowflake)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batches.id"))
    """The batch it is one of: all of them take one place among the waiting, and one message tells of them."""

    action: Mapped[str] = mapped_column(String(30))
    parent_job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    parent_image_id: Mapped[int | None] = mapped_column(
        ForeignKey("images.id", use_alter=True, name="fk_jobs_parent_image_id_images")
    )
    parent_index: Mapped[int | None] = mapped_column(Integer)
    """Which image of its grid the parent was (0–3)."""
    text: Mapped[str] = mapped_column(Text)
    """The whole prompt as it is shown, flags included; searched by `/history`."""
    model: Mapped[str] = mapped_column(String(100))
    batch_group: Mapped[str] = mapped_column(String(150))
    request: Mapped[dict[str, Any]]
    request_version: Mapped[int] = mapped_column(Integer)

    state: Mapped[str] = mapped_column(String(20), default=JobState.QUEUED.value)
    sequence: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    handbacks: Mapped[int] = mapped_column(Integer, default=0)
    """Attempts that ended without fault of the job (a worker shut down); they do not count to the three."""
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
    """What it found out in words: a description's prompts, a prompt's weights, a blend's descriptions."""
    movie_key: Mapped[str | None] = mapped_column(String(200))
    """Where the image store keeps the movie of its forming pictures (animated WebP), if one was asked for."""

    created_at: Mapped[int] = mapped_column(Millis)
    started_at: Mapped[int | None] = mapped_column(Millis)
    finished_at: Mapped[int | None] = mapped_column(Millis)
    cancel_requested_at: Mapped[int | None] = mapped_column(Millis)
    deadline: Mapped[int | None] = mapped_column(Millis)

    interaction_id: Mapped[int | None] = mapped_column(Snowflake, unique=True)
    press: Mapped[str | None] = mapped_column(String(150))
    """Member and custom_id of the button that made it: the same press within three seconds is one job."""
    reply_to: Mapped[int | None] = mapped_column(Snowflake)
    """Message whose button made it, to reply to."""
    locale: Mapped[str | None] = mapped_column(String(10))
    user_install: Mapped[bool] = mapped_column(default=False)
    """Asked for where only the member has installed Easel: results go through the token."""
    stealth: Mapped[bool] = mapped_column(default=False)
    """Only its member and the moderators may see it."""
    upload_limit: Mapped[int] = mapped_column(BigInteger, default=10 * 2**20)
    """Bytes that one file of the answer may have."""
    interaction_token: Mapped[str | None] = mapped_column(Text)
    """To finish the progress message after a restart; wiped when the job's deliveries are done."""
    token_expires_at: Mapped[int | None] = mapped_column(Millis)
    progress_message_id: Mapped[int | None] = mapped_column(Snowflake)
    deleted_at: Mapped[int | None] = mapped_column(Millis)
    """Its member deleted their data: the row stays, empty, for the messages and jobs that point to it."""

    @property
    def ephemeral(self) -> bool:
        """Whether its messages are shown to its member alone."""
        return is_ephemeral(self.guild_id, stealth=self.stealth, user_install=self.user_install)

    @property
    def by_token_alone(self) -> bool:
        """Whether only the interaction's token reaches its messages."""
        return self.user_install or self.ephemeral


class Image(Table):
    """One picture of one attempt. Its parent and the action that made it are its job's."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "index"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int] = mapped_column(Integer)
    index: Mapped[int] = mapped_column(Integer)
    seed: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    key: Mapped[str] = mapped_column(String(300))
    """Where the image store keeps it; never a link of Discord's."""
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


class Delivery(Table):
    """What must reach a member: written before the request to Discord and closed after it."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(_one_of("state", ("open", "done", "given_up")), "state"),
        _partial_index("ix_deliveries_open", "due_at", where=OPEN),
        Index("ix_deliveries_job_id", "job_id"),
        _filled_index("ix_deliveries_image_id", "image_id"),
        UniqueConstraint("once"),
        {"sqlite_autoincrement": True},
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
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    channel_id: Mapped[int | None] = mapped_column(Snowflake)
    reply_to: Mapped[int | None] = mapped_column(Snowflake)
    """Message whose button was pressed, to reply to."""
    locale: Mapped[str | None] = mapped_column(String(10))
    upload_limit: Mapped[int] = mapped_column(BigInteger, default=10 * 2**20)
    user_install: Mapped[bool] = mapped_column(default=False)
    ephemeral: Mapped[bool] = mapped_column(default=False)
    """Shown to its member alone."""
    interaction_token: Mapped[str | None] = mapped_column(Text)
    token_expires_at: Mapped[int | None] = mapped_column(Millis)
    state: Mapped[str] = mapped_column(String(20), default="open")
    tries: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[int] = mapped_column(Millis)
    """Not before this; pushed on when a try fails, and while a bot holds it."""
    attempted_at: Mapped[int | None] = mapped_column(Millis)
    """Committed before the request: when set, and no message is known, look before posting again."""
    message_id: Mapped[int | None] = mapped_column(Snowflake)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(Millis)

    @property
    def by_token_alone(self) -> bool:
        """Whether only the interaction's token can post it where it was asked for."""
        return self.user_install or self.ephemeral


class Message(Table):
    """A message of ours that shows pictures, so that it can be found and jumped to."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(Snowflake, primary_key=True, autoincrement=False)
    channel_id: Mapped[int] = mapped_column(Snowflake)
    guild_id: Mapped[int | None] = mapped_column(Snowflake)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id"))
    created_at: Mapped[int] = mapped_column(Millis)
    deleted_at: Mapped[int | None] = mapped_column(Millis)


class Ban(Table):
    __tablename__ = "bans"
    __table_args__ = (
        CheckConstraint(_one_of("scope", ("guild", "operator")), "scope"),
        Index("ix_bans_member_id", "member_id"),
        _partial_index("ix_bans_expiring", "expires_at", where=EXPIRING),
        {"sqlite_autoincrement": True},
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
        CheckConstraint(_one_of("verdict", ("withheld", "dismissed")), "verdict"),
        UniqueConstraint("job_id", "guild_id", "reporter_id"),
        _partial_index("ix_reports_undecided", "guild_id", "id", where=UNDECIDED),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    guild_id: Mapped[int] = mapped_column(Snowflake)
    reporter_id: Mapped[int] = mapped_column(Snowflake)
    created_at: Mapped[int] = mapped_column(Millis)
    verdict: Mapped[str | None] = mapped_column(String(20))
    decided_by: Mapped[int | None] = mapped_column(Snowflake)
    decided_at: Mapped[int | None] = mapped_column(Millis)


class AuditEntry(Table):
    """What a moderator did. Each hash covers the entry before it: none can be taken out unseen."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_guild_id", "guild_id", "id"), {"sqlite_autoincrement": True})

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
