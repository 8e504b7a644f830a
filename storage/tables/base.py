"""Base of every table: ids and times, and the form in which constraints and indexes are named and written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, Integer, MetaData, text
from sqlalchemy.orm import DeclarativeBase

# BigInteger does not autoincrement on SQLite; AUTOINCREMENT there so that no id is ever used twice:
# an old button must never point to another job.
Id = BigInteger().with_variant(Integer, "sqlite")
AUTOINCREMENT = {"sqlite_autoincrement": True}
Millis = BigInteger
Snowflake = BigInteger

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


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """The column has one of these values; the constraint is named after it."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", column)


def partial_index(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def filled_index(name: str, column: str) -> Index:
    """Of the rows that have a value: were the many without one in it, a planner would think little of it."""
    return partial_index(name, column, where=f"{column} IS NOT NULL")
