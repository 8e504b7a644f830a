"""The database: SQLite in one file, or PostgreSQL, through one URL.

A transaction is either `reading` or `writing`, and says so when it begins. On SQLite a writer begins
IMMEDIATE: a deferred one that reads first and writes later fails at once beside another writer, whatever the
timeout. Rows that come back stay loaded when their transaction is over.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.functions import FunctionElement

from storage.errors import ConfigError
from storage.monotonic import monotonic
from storage.private_files import make_private, make_private_file, make_private_folder
from storage.tables import Table

P = ParamSpec("P")
T = TypeVar("T")

# Writers do not queue up on SQLite, they try again: on a busy machine one may be unlucky for long.
SQLITE_BUSY_MS = 30_000
# A process that is stopped inside a transaction holds a member's row: nobody waits longer for it than this.
POSTGRES_IDLE_MS = 5_000
READERS = 2
WRITERS = {"sqlite": 1, "postgresql": 4}
"""Threads for what event loops await.

More would only compete for the interpreter, and SQLite's writers for the file: whoever finds it locked
sleeps, and may be passed for long.
"""
_BUSY = sqlite3.SQLITE_BUSY
MIGRATION_LOCK = 0x6561_7365_6C


class epoch_ms(FunctionElement[int]):  # noqa: N801 (a SQL function)
    """Milliseconds since 1970 by the database's clock, moving on within a transaction."""

    type = BigInteger()
    inherit_cache = True


@compiles(epoch_ms, "postgresql")
def _epoch_ms_postgresql(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"


@compiles(epoch_ms, "sqlite")
def _epoch_ms_sqlite(*_: Any, **__: Any) -> str:
    # unixepoch('subsec') is silently NULL before SQLite 3.42.
    return "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


def now(session: Session) -> int:
    """Epoch milliseconds of the database's clock, the only one that rows are dated by."""
    return session.scalars(select(epoch_ms())).one()


def passes(error: BaseException) -> bool:
    """True for an error after which the same transaction may well succeed: the database is away or busy, or
    has itself ended the connection or the transaction.
    """
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout)
    # A transaction that was idle for too long is an InternalError (25P03), but its connection is gone; what
    # lost a race (40001, 40P01) is an OperationalError.
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def insert_or_update(session: Session, table: type[Table]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of this session's database that has `on_conflict_do_update`."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


class Database:
    def __init__(self, url: str) -> None:
        """Open the database at `url`; nothing is connected yet.

        Raises:
            ConfigError: for a database that is neither SQLite in a file nor PostgreSQL.
        """
        self._url = make_url(url)
        match self._url.get_backend_name():
            case "sqlite":
                self._writer = _sqlite(self._url, writes=True)
                self._reader = _sqlite(self._url, writes=False)
            case "postgresql":
                self._writer = _postgresql(self._url)
                self._reader = self._writer.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            case other:
                raise ConfigError(f"EASEL_DATABASE_URL cannot be used: {other} is no database Easel knows.")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="database reader")
        self._writers = ThreadPoolExecutor(
            WRITERS[self._url.get_backend_name()], thread_name_prefix="database writer"
        )
        self._under_way = 0

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state and cannot write."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at the end, or leaves no trace where the block raises."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    async def read(self, query: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query(session, …)` on a thread of the database's own."""

        def run() -> T:
            with self.reading() as session:
                return query(session, *args, **kwargs)

        return await self._on_a_thread(self._readers, run)

    async def write(
        self, change: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `change(session, …)` on a thread of the database's own, and commit."""

        def run() -> T:
            with self.writing() as session:
                return change(session, *args, **kwargs)

        return await self._on_a_thread(self._writers, run)

    async def _on_a_thread(self, threads: ThreadPoolExecutor, run: Callable[[], T]) -> T:
        """In the caller's context, as `asyncio.to_thread` has it, but on a thread of our own."""
        run_there = contextvars.copy_context().run
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, run_there, run)
        finally:
            self._under_way -= 1

    @property
    def under_way(self) -> int:
        """Number of reads and writes that are awaited; to be asked on the event loop that awaits them."""
        return self._under_way

    def close(self) -> None:
        self._readers.shutdown()
        self._writers.shutdown()
        self._reader.dispose()
        self._writer.dispose()

    def checkpoint(self) -> None:
        """Bring what was written into SQLite's own file and empty its log, which keeps what was before.

        Where somebody reads just now, the log keeps it until a later checkpoint. PostgreSQL has its vacuum.
        """
        if self._writer.dialect.name != "sqlite":
            return
        with closing(self._writer.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 1000")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")

    def upgrade(self) -> None:
        """Bring the tables to this version's form; several processes may try at once."""
        config = _alembic()
        with self.migrating() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection in a transaction of its own, in which tables may be altered, one process at a time."""
        engine = create_engine(self._writer.url, poolclass=NullPool, hide_parameters=True)
        on_sqlite = engine.dialect.name == "sqlite"
        if on_sqlite:
            # Altering a table on SQLite means building it anew, which foreign keys would take for deletions.
            _prepare_sqlite(engine, writes=True, foreign_keys=False)
        with engine.begin() as connection:
            if not on_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            yield connection
            if on_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise ConfigError(
                    "The migration would leave rows that point to nothing; nothing was changed."
                )
        engine.dispose()

    def revision(self) -> str | None:
        """The migration that the tables are at; None for an empty database."""
        with self._reader.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def check(self) -> list[str]:
        """Compare the database with this version's tables: a sentence for each difference, empty for none."""
        head = ScriptDirectory.from_config(_alembic()).get_current_head()
        revision = self.revision()
        if revision != head:
            return [
                f"The database is at {revision or 'nothing'}, this version needs {head}: easel db upgrade."
            ]
        with self._reader.connect() as connection:
            return [str(difference) for difference in differences(connection)]


def differences(connection: Connection) -> list[Any]:
    """alembic's comparison of the connected database with `tables.py`."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Table.metadata))


def _alembic() -> AlembicConfig:
    spec = importlib.util.find_spec("migrations")
    assert spec is not None
    assert spec.origin is not None
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(spec.origin).parent).replace("%", "%%"))
    return config


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": f"-c idle_in_transaction_session_timeout={POSTGRES_IDLE_MS}"},
    )
    event.listen(engine, "handle_error", _forget_values)
    return engine


def _forget_values(context: ExceptionContext) -> None:
    """PostgreSQL repeats a row that breaks a rule in its message, with the prompt and the token."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    diagnosis = getattr(error, "diag", None)  # psycopg's, which SQLite's users need not have
    if wrapped is None or diagnosis is None or not diagnosis.sqlstate:
        return
    # A value that is no number, or out of range, stands in the first line too.
    is_of_data = diagnosis.sqlstate.startswith("22")
    brief = type(error).__name__ if is_of_data else str(diagnosis.message_primary)
    whole = str(error)
    wrapped.args = tuple(
        brief.join(arg.split(whole)) if isinstance(arg, str) else arg for arg in wrapped.args
    )
    error.args = (brief,)


def _sqlite(url: URL, *, writes: bool) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError("EASEL_DATABASE_URL cannot be used: it names no file, and memory forgets.")
    _make_sqlite_file(Path(url.database))
    engine = create_engine(url, hide_parameters=True)
    _prepare_sqlite(engine, writes=writes)
    return engine


def _make_sqlite_file(path: Path) -> None:
    """A log and an index that SQLite makes get the file's permissions; those of an earlier start keep theirs.

    Raises:
        ConfigError: the file can be neither read nor made.
    """
    try:
        make_private_folder(path.parent)
        make_private_file(path)
        for beside in ("-wal", "-shm"):
            make_private(path.with_name(path.name + beside))
    except OSError as error:
        raise ConfigError(f"EASEL_DATABASE_URL: {path} cannot be used: {error.strerror}.") from None


def _prepare_sqlite(engine: Engine, *, writes: bool, foreign_keys: bool = True) -> None:
    """Take the transactions out of the driver's hands, which by itself would begin them too late."""

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
        _use_wal(connection)
        # Not NORMAL: a power cut must not take back a commit, else an id that Discord has seen is given out
        # again.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        connection.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        # What a member deletes is to be gone from the file too, not only from the tables.
        connection.execute("PRAGMA secure_delete = ON")
        # SQLite's own knows ASCII only.
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_wal(connection: Any) -> None:
    """While another process makes the database, SQLite does not wait for it, whatever its timeout."""
    end = monotonic() + SQLITE_BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # A full disk or a folder that cannot be written stays so.
            if getattr(error, "sqlite_errorcode", _BUSY) & 0xFF != _BUSY or monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value
