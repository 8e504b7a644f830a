"""Fixtures for every test: the real services, and brokers that may be killed.

Hypothesis tries the same examples at each `make test`, and many others at each `make test-all`.
"""

from __future__ import annotations

from hypothesis import settings

from tests.brokers import broker, broker_url, own_rabbitmq, own_redis
from tests.services import amqp_url, postgres_url, redis_url
from tests.statements import compiled_once
from tests.timing import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_deselected,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.transactions import undecoded

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("many", deadline=None, max_examples=1_000)
settings.load_profile("same")

__all__ = [
    "amqp_url",
    "broker",
    "broker_url",
    "compiled_once",
    "own_rabbitmq",
    "own_redis",
    "postgres_url",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_deselected",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "redis_url",
    "undecoded",
]
