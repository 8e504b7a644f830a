"""Fixtures for every test: the real services, and brokers that may be killed."""

from __future__ import annotations

from tests.brokers import broker, broker_url, own_rabbitmq, own_redis
from tests.services import amqp_url, postgres_url, redis_url

__all__ = ["amqp_url", "broker", "broker_url", "own_rabbitmq", "own_redis", "postgres_url", "redis_url"]
