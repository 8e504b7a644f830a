"""All that is stored about a member, read in pages: no transaction lasts longer than a page's statement.

What Python makes of a page, it makes when the transaction is over: PostgreSQL ends one that idles, and a
member may have a hundred thousand rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, select, tuple_
from sqlalchemy.orm import load_only

from storage.database import Database
from storage.jobs import visible
from storage.tables import Image, Job, Member
from storage.tables import Table as Base

PAGE = 500
"""Rows read at once."""
JOBS = 100
"""Jobs of which the rows are read at once."""

_NAMES_MEMBER = ("member_id", "reporter_id", "target_id")
_LEFT_OUT = {"interaction_token", "worker_id", "banned_by", "actor_id", "decided_by", "prev_hash", "hash"}
"""Secrets, and who the moderators were."""

Row = dict[str, Any]


def tables() -> list[Table]:
    """Tables with rows about members."""
    return [table for table in Base.metadata.sorted_tables if _is_about_members(table)]


def _is_about_members(table: Table) -> bool:
    return _names_member(table) is not None or "job_id" in table.c


def rows(database: Database, member_id: int) -> Iterator[tuple[str, Sequence[Row]]]:
    """Every row about the member: pages with the names of their tables, a table after the other."""
    for table in tables():
        column = _names_member(table)
        pages = (
            _of_jobs(database, table, member_id)
            if column is None
            else _of(database, table, column == member_id)
        )
        for page in pages:
            yield table.name, page


def pictures(database: Database, member_id: int, after: int = 0) -> Iterator[tuple[Image, Job]]:
    """The member's pictures that may be shown, a job's after the other, oldest first; those that come after a
    picture's id. Of a job only the text, the number and the movie are read.
    """
    with database.reading() as session:
        begun = session.get(Image, after)
    job_id = 0 if begun is None else begun.job_id - 1
    while True:
        few = select(Job).where(Job.member_id == member_id, Job.id > job_id).order_by(Job.id).limit(JOBS)
        with database.reading() as session:
            jobs = {job.id: job for job in session.scalars(few.options(load_only(Job.text, Job.movie_key)))}
            shown = (Image.job_id.in_(jobs), visible(), ~Image.withheld)
            images = session.scalars(select(Image).where(*shown).order_by(Image.job_id, Image.id)).all()
        for image in images:
            if begun is None or image.job_id != begun.job_id or image.id > after:
                yield image, jobs[image.job_id]
        if len(jobs) < JOBS:
            return
        job_id = max(jobs)


def _names_member(table: Table) -> Column[Any] | None:
    """The column that says which member a row is about; None where it is about a job, or nobody."""
    if table is Member.__table__:
        return table.c.id
    return next((table.c[name] for name in _NAMES_MEMBER if name in table.c), None)


def _of_jobs(database: Database, table: Table, member_id: int) -> Iterator[Sequence[Row]]:
    """The rows about the member's jobs, some jobs after the other."""
    last = 0
    while True:
        few = select(Job.id).where(Job.member_id == member_id, Job.id > last).order_by(Job.id).limit(JOBS)
        with database.reading() as session:
            ids = session.scalars(few).all()
        yield from _of(database, table, table.c.job_id.in_(ids))
        if len(ids) < JOBS:
            return
        last = ids[-1]


def _of(database: Database, table: Table, theirs: ColumnElement[bool]) -> Iterator[Sequence[Row]]:
    """The rows of a table, by its primary key."""
    key = list(table.primary_key.columns)
    columns = [column for column in table.c if column.name not in _LEFT_OUT]
    query: Select[Any] = select(*columns).where(theirs).order_by(*key).limit(PAGE)
    last: tuple[Any, ...] | None = None
    while True:
        more = query if last is None else query.where(tuple_(*key) > last)
        with database.reading() as session:
            found = session.execute(more).mappings().all()
        if found:
            yield [dict(row) for row in found]
        if len(found) < PAGE:
            return
        last = tuple(found[-1][column.name] for column in key)
