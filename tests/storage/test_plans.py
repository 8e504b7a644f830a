"""What the databases do for the statements that must stay fast when the history is long."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from storage import (
    attempts,
    batches,
    brought,
    counters,
    deliveries,
    fair_queue,
    isolation,
    jobs,
    members,
    moderation,
    states,
    submissions,
    workers,
)
from storage.database import Database
from storage.tables import Bringing, Delivery, Image, Job, JobImage, Member, Message, Table, WorkerRow
from tests.storage import asking

JOBS = 8_000
MEMBERS = 100
WAITING = 200


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def filled(
    request: pytest.FixtureRequest, sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with a long history, a few jobs that wait and run, and fresh statistics."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("filled") / "easel.db"
        path.write_bytes(sqlite_template.read_bytes())
        database = Database(f"sqlite:///{path}")
    else:
        database = Database(request.getfixturevalue("migrated_postgres_url"))
    with database.writing() as session:
        _fill(session)
    with database.writing() as session:
        session.execute(text("ANALYZE"))
    yield database
    database.close()


def _fill(session: Session) -> None:
    """Every row is a copy of the first of its table, made by the database itself."""
    worker_id = workers.register(session, "worker", asking.MODELS)
    first = submissions.submit(session, asking.draft(1, guild_id=1)).job
    claim = attempts.claim(session, worker_id, asking.MODELS)
    assert claim is not None
    attempts.finish(session, first.id, claim.attempt, asking.pictures(1), {})
    waits = f"i > {JOBS - WAITING}"
    state = f"CASE WHEN {waits} THEN 'queued' ELSE 'succeeded' END"
    _copy(session, WorkerRow, 5, id="i", stopped_at="i")
    _copy(session, Member, MEMBERS, id="i", served="i")
    _copy(
        session, Job, JOBS, id="i", member_id=f"i % {MEMBERS} + 1", guild_id="i % 50", state=state, press="i"
    )
    _copy(session, Image, JOBS - WAITING, id="i", job_id="i", sha256="i")
    _copy(session, Delivery, JOBS - WAITING, id="i", job_id="i", once="i", image_id="i", state="'done'")
    session.add(Message(id=1, channel_id=900, job_id=1, created_at=0))
    session.flush()
    _copy(session, Message, JOBS - WAITING, id="i", job_id="i")
    session.add(JobImage(key="1", job_id=1))
    session.add(Bringing(key="1", member_id=1, created_at=0))
    session.flush()
    _copy(session, JobImage, JOBS, key="i", job_id="i")
    _copy(session, Bringing, JOBS, id="i", key="i", member_id=f"i % {MEMBERS} + 1", created_at="i")
    counters.verify(session, repair=True)
    if session.get_bind().dialect.name == "postgresql":
        for name in ("jobs", "deliveries", "turns"):
            session.execute(text(f"SELECT setval('{name}_id_seq', {JOBS + 1})"))


def _copy(session: Session, table: type[Table], count: int, **values: str) -> None:
    """Rows 2, 3, … `count`, whose columns are the first row's or SQL of the row's number `i`."""
    columns = Table.metadata.tables[table.__tablename__].columns
    said = {
        f'"{column.name}"': f"CAST({values[column.name]} AS {_TYPES[column.type.python_type]})"
        if column.name in values
        else f'f."{column.name}"'
        for column in columns
    }
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    first = f"(SELECT * FROM {table.__tablename__} LIMIT 1) AS f"
    session.execute(
        text(
            f"INSERT INTO {table.__tablename__} ({', '.join(said)}) "
            f"{numbers} SELECT {', '.join(said.values())} FROM n, {first}"
        )
    )


_TYPES = {int: "BIGINT", str: "TEXT"}


@contextmanager
def plans(database: Database) -> Iterator[list[str]]:
    """The plan of every SELECT, UPDATE and DELETE that runs inside, as the database tells it."""
    told: list[str] = []
    explaining = False

    def explain(connection: Connection, *args: Any) -> None:
        nonlocal explaining
        _, statement, parameters, _, executemany = args
        if explaining or not statement.startswith(("SELECT", "UPDATE", "DELETE")) or "nextval" in statement:
            return
        explaining = True
        word = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        cursor = connection.connection.cursor()
        cursor.execute(f"{word} {statement}", parameters[0] if executemany else parameters)
        told.append(statement + "\n" + "\n".join(str(row[-1]) for row in cursor.fetchall()))
        cursor.close()
        explaining = False

    event.listen(database._writer, "before_cursor_execute", explain)
    try:
        yield told
    finally:
        event.remove(database._writer, "before_cursor_execute", explain)


LONG = "(jobs|images|deliveries|messages|job_pictures|bringings)"
# The indexes of what waits and runs are as short as the queue.
QUEUE = "ix_jobs_(queued|relaxed|running|unfinished)"
SCAN = re.compile(rf"SCAN {LONG}(?! USING (COVERING )?INDEX {QUEUE})|Seq Scan on {LONG}")


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: attempts.claim(session, 1, ["picturebook"]),
        lambda session: attempts.claim(session, 1, ["picturebook", "other"], ["other"]),
        # Nothing to do: also relaxed jobs are looked for.
        lambda session: attempts.claim(session, 1, ["other"]),
        lambda session: isolation.beside(session, 1),
        lambda session: isolation.drains(session, 1, "picturebook"),
        lambda session: batches._check_room(session, 5, 3, 40),
        lambda session: submissions.submit(
            session, asking.draft(3, guild_id=7, press="3", interaction_id=9, token_expires_at=9)
        ),
        lambda session: jobs.ahead(session, JOBS - 5),
        lambda session: states.cancel(session, JOBS - 3),
        lambda session: jobs.unfinished(session),
        lambda session: jobs.images_of(session, 77),
        lambda session: members.history(session, 5),
        lambda session: members.history(session, 5, "castle", before=JOBS // 2),
        lambda session: members.history(session, 5, after=JOBS // 2),
        lambda session: members.history(session, 5, favorites=True),
        lambda session: members.totals(session, 5),
        lambda session: deliveries.take(session, 5, 0),
        lambda session: deliveries.used(session, 77),
        lambda session: deliveries.used_of_image(session, 77),
        lambda session: deliveries.messages_of(session, 77),
        lambda session: deliveries.has_copy(session, 77),
        lambda session: batches.tally(session, 3),
        lambda session: batches.jobs_of(session, 3),
        lambda session: batches.of_member(session, 5),
        lambda session: moderation.guild_queue(session, 7),
        lambda session: moderation.pause(session, 7, 1),
        lambda session: workers.renew(session, 1),
        lambda session: workers.stop(session, 1),
        lambda session: workers.Reaper().sweep(session),
        lambda session: brought._is_named(session, "77"),
        lambda session: brought.named_of(session, ["77", "78"]),
        lambda session: brought.outlived(session, 10),
    ],
)
def test_no_history_is_scanned(filled: Database, ask: Callable[[Session], object]) -> None:
    with filled._writer.connect() as connection, Session(connection) as session:
        with plans(filled) as told:
            ask(session)
            session.flush()
        session.rollback()
    assert told
    assert [plan for plan in told if SCAN.search(plan)] == []


def test_a_scan_would_be_seen(filled: Database) -> None:
    with filled._writer.connect() as connection, Session(connection) as session, plans(filled) as told:
        session.execute(text("SELECT count(*) FROM jobs WHERE text = 'x'"))
        session.execute(text("SELECT count(*) FROM images WHERE key = 'x'"))
    assert all(SCAN.search(plan) for plan in told)
    assert len(told) == 2


def test_the_turn_is_found_by_its_index(filled: Database) -> None:
    with filled._writer.connect() as connection, Session(connection) as session, plans(filled) as told:
        found = fair_queue.next_member(session, ["picturebook"], [])
        session.rollback()
    assert found is not None
    assert "ix_jobs_queued" in told[0]
