"""The fixtures of tests that need a whole Discord."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bot.discord_server.judge import DOCUMENT, HOW_TO_GET_IT
from tests.bot.discord_server.running import pointed_at
from tests.bot.discord_server.server import DiscordServer


@pytest.fixture
def discord_server() -> Iterator[DiscordServer]:
    """A running server, discord.py pointed at it; at the end no request may have been wrong."""
    if not DOCUMENT.exists():
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(HOW_TO_GET_IT)
    server = DiscordServer()
    server.start()
    with pointed_at(server):
        yield server
    server.stop()
    assert server.violations == []
