"""A bot is ready before the first press: nothing is imported, read or put together for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import event, func, select

from bot.warm_up import rehearse
from storage.backends import Backends
from storage.config import Config
from storage.tables import Table

ROOT = Path(__file__).parents[2]

_FIRST_PRESS = """
import asyncio, sys
from actions import submit
from actions.permissions import Channel
from bot.client import EaselBot
from bot.warm_up import rehearse
from storage.backends import Backends
from storage.config import load
from storage.tables import Address

backends = Backends.open(load())
rehearse(backends)
before = set(sys.modules)
asking = submit.SubmissionContext(Address(1, 2, 3), "ada", 4, Channel(2))
asked = asyncio.run(submit.imagine(backends, asking, "a castle"))
backends.close()  # after the ticket was sent
assert asked.fresh
print(*sorted(set(sys.modules) - before))
"""


def test_the_first_press_imports_nothing(config: Config) -> None:
    environment = {"EASEL_DATA_DIR": str(config.data_dir), "EASEL_CATALOG": str(config.catalog)}
    process = subprocess.run(
        [sys.executable, "-c", _FIRST_PRESS],
        env={"PYTHONPATH": str(ROOT), "PATH": "", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.split() == []


def test_a_rehearsal_leaves_nothing_behind(config: Config) -> None:
    backends = Backends.open(config)
    written: list[object] = []
    event.listen(backends.database._writer, "commit", written.append)
    try:
        rehearse(backends)
        with backends.database.reading() as session:
            counts = {
                name: session.scalar(select(func.count()).select_from(table))
                for name, table in Table.metadata.tables.items()
            }
    finally:
        backends.close()
    assert written == []
    assert set(counts.values()) == {0}
