"""Fixtures for every test: the real services, and brokers that may be killed."""

from __future__ import annotations

import pytest

from tests.brokers import broker, broker_url, own_rabbitmq, own_redis
from tests.services import amqp_url, postgres_url, redis_url

__all__ = ["amqp_url", "broker", "broker_url", "own_rabbitmq", "own_redis", "postgres_url", "redis_url"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why a test needed its second try, so that the cause can be found."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)
