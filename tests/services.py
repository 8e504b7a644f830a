"""The real services that tests speak to: PostgreSQL, Redis and RabbitMQ.

`EASEL_TEST_POSTGRES`, `EASEL_TEST_REDIS` and `EASEL_TEST_AMQP` say where they are. Where one does not answer,
its tests are skipped with the word what to install; on CI (`CI=true`) they fail.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from redis import Redis
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

POSTGRES = os.environ.get("EASEL_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("EASEL_TEST_REDIS", "redis://127.0.0.1:6379/15")
AMQP = os.environ.get("EASEL_TEST_AMQP", "amqp://guest:guest@127.0.0.1:5672//")


def _require(url: str, default_port: int, package: str) -> None:
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or default_port
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        message = f"{host}:{port} does not answer ({error}); apt-get install {package}, and start it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """URL of a new, empty database, dropped at the end with whatever is still connected to it."""
    _require(POSTGRES, 5432, "postgresql")
    name = f"easel_test_{secrets.token_hex(6)}"
    server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
        # No test cuts the power.
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
    try:
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL database of the test module's own, without tables."""
    with fresh_postgres() as url:
        yield url


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A Redis database of this test process's own, emptied before and after the test."""
    _require(REDIS, 6379, "redis-server")
    address = urlsplit(REDIS)
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = address._replace(path=f"/{int(address.path.lstrip('/') or 0) - process}").geturl()
    with Redis.from_url(url) as redis:
        redis.flushdb()
        yield url
        redis.flushdb()


@pytest.fixture(scope="session")
def amqp_url() -> str:
    """A RabbitMQ, shared: tests name their own queues and exchanges."""
    _require(AMQP, 5672, "rabbitmq-server")
    return AMQP
