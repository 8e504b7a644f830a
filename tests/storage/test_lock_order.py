"""Rows are locked in one order: guild, member, batch, jobs, deliveries (by their ids), pictures, messages.

Opposite orders would be deadlocks on PostgreSQL, where now and then a write is lost by one.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import Session

from storage import batches, deliveries, jobs, privacy, removals, takedowns
from storage.database import Database, now
from storage.tables import Address, Delivery, Job, Message
from storage.takedowns import EVERYWHERE, OPERATOR
from tests.storage import asking

ORDER = ("guilds", "members", "batches", "jobs", "deliveries", "images", "messages")
ROUNDS = 60


@pytest.fixture
def postgres(migrated_postgres_url: str) -> Iterator[Database]:
    opened = Database(migrated_postgres_url)
    with opened.writing() as session:
        session.execute(text("SET deadlock_timeout = '20ms'"))
    yield opened
    opened.close()


_members = itertools.count(7_000)


class Case:
    """A member's finished job of a batch, with three deliveries that are not closed."""

    def __init__(self, database: Database) -> None:
        self.member = next(_members)
        with database.writing() as session:
            draft = asking.draft(self.member, guild_id=5, interaction_token="secret")
            self.batch = batches.propose(session, draft, "a castle", [{}], most=80).id
        with database.writing() as session:
            batches.confirm(session, self.batch, lambda _: draft, most=80)
        claimed = asking.must_claim(database, asking.worker(database))
        asking.finish(database, claimed)
        self.job = claimed.job_id
        with database.writing() as session:
            address = Address(self.member, 5, 900, interaction_token="secret")
            image = jobs.images_of(session, self.job)[0].id
            deliveries.request_again(session, address, job_id=self.job, once=f"again:{self.job}")
            deliveries.request_single(session, address, image_id=image, once=f"single:{self.job}")
            ids = select(Delivery.id).where(Delivery.job_id == self.job).order_by(Delivery.id)
            self.deliveries = list(session.scalars(ids))

    def shown(self) -> Message:
        return Message(id=self.job * 10, channel_id=900, job_id=self.job)


Write = Callable[[Session, Case], object]
WRITES: dict[str, Write] = {
    "posted": lambda session, case: deliveries.posted(session, case.deliveries[0], case.shown()),
    "done": lambda session, case: deliveries.done(session, case.deliveries[0]),
    "given up": lambda session, case: deliveries.give_up(session, case.deliveries[0], ""),
    "held": lambda session, case: deliveries.hold(session, case.deliveries[::-1]),
    "later": lambda session, case: deliveries.later(session, case.deliveries[0], "", 0),
    "withheld": lambda session, case: takedowns.take_down(session, case.job, EVERYWHERE, OPERATOR),
    "removed": lambda session, case: removals.remove(session, case.job),
    "token dead": lambda session, case: jobs.forget_token(session, case.job),
    "batch's token dead": lambda session, case: batches.forget_token(session, case.batch),
    "erased": lambda session, case: privacy.delete_rows(session, case.member),
}


@contextmanager
def tables_locked(database: Database) -> Iterator[list[str]]:
    """The tables of which rows are locked, in the order of the statements. Rows may be locked again."""
    seen: list[str] = []

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:
        locked = re.match(r"(?:UPDATE|DELETE FROM) (\w+)|INSERT INTO (?:members|guilds)", statement)
        if locked is None and re.search(r"FOR (NO KEY )?UPDATE", statement):
            locked = re.search(r"FROM (\w+)", statement)
        table = None if locked is None else locked[0].split()[-1]
        if table in ORDER:
            seen.append(table)

    event.listen(database._writer, "before_cursor_execute", look)
    yield seen
    event.remove(database._writer, "before_cursor_execute", look)


@pytest.mark.parametrize("name", WRITES)
def test_each_write_keeps_the_order(postgres: Database, name: str) -> None:
    case = Case(postgres)
    with tables_locked(postgres) as seen, postgres.writing() as session:
        WRITES[name](session, case)
        session.flush()
    assert seen
    first = list(dict.fromkeys(seen))
    assert first == sorted(first, key=ORDER.index)


@pytest.mark.parametrize(
    "names", [("done", "token dead"), ("done", "batch's token dead"), ("held", "withheld")]
)
def test_two_at_once_never_wait_in_a_circle(postgres: Database, names: tuple[str, str]) -> None:
    case = Case(postgres)
    start = threading.Barrier(2)

    def write(name: str) -> None:
        for _ in range(ROUNDS):
            start.wait(30)
            with postgres.writing() as session:
                WRITES[name](session, case)
            start.wait(30)
            with postgres.writing() as session:
                mine = case.deliveries[0] if name == names[0] else case.deliveries[1]
                session.execute(
                    update(Delivery).where(Delivery.id == mine).values(state="open", due_at=now(session))
                )
            start.wait(30)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(write, name) for name in names]:
            done.result(60)
    with postgres.reading() as session:
        assert session.get_one(Job, case.job).member_id == case.member
