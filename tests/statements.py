"""Statements compiled once for all databases of a test process.

Each test has engines of its own, whose caches begin empty; to put the same statements together again takes a
third of a test's processor time. Dialects of one class compile alike here: all databases are of one version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from storage import database


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    compiled: LRUCache[Any, Any] = LRUCache(5_000)

    def with_cache(*args: Any, **options: Any) -> Engine:
        engine = create_engine(*args, **options)
        engine._compiled_cache = compiled
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", with_cache)
        patch.setattr(DefaultDialect, "__eq__", lambda self, other: type(self) is type(other))
        patch.setattr(DefaultDialect, "__hash__", lambda self: hash(type(self)))
        yield
