"""Fixtures of the bot's tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.components import responses
from bot.delivery import progress
from storage.config import Config
from storage.database import Database
from tests.bot.discord_server import DiscordServer, interactions
from tests.bot.discord_server.fixtures import discord_server
from tests.bot.processes import Processes
from tests.bot.simulated import World
from tests.bot.site import site
from tests.bot.studio import Studio

__all__ = ["discord_server", "site"]

CATALOG = """
[models.picturebook]
title = "Picturebook"
source = "model"
sizes = [[64, 64], [80, 56], [56, 80]]
num_inference_steps = 4
scheduler = "ddim"
display_scale = 2
upscaler = { source = "upscaler" }
describer = { source = "describer" }
segmenter = { source = "segmenter" }
controls.edges = { source = "control", reads = "edges" }
adapters.image = { source = "adapter", image_encoder = "encoder" }
adapters.style = { source = "adapter", image_encoder = "encoder" }
adapters.subject = { source = "adapter", image_encoder = "encoder" }

[models.other]
source = "other"
sizes = [[64, 64]]
"""
"""For tests in which nothing is drawn: no model is there."""


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is deferred or refused because the machine is busy: `test_slow_database.py` sees to that."""
    monkeypatch.setattr(responses, "PATIENCE", 20.0)
    monkeypatch.setattr(responses, "FORM_PATIENCE", 20.0)
    monkeypatch.setattr(interactions, "ANSWER_WITHIN_S", 60.0)


@pytest.fixture(autouse=True)
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told at a quarter of the intervals at which Discord wants it."""
    for name in ("EVERY_S", "IN_CHANNEL_EVERY_S", "BACK_OFF_S"):
        monkeypatch.setattr(progress, name, getattr(progress, name) / 4)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("database") / "easel.db"
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    database.close()
    return file


@pytest.fixture
def config(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, tmp_path / "easel.db")
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG)
    return Config(data_dir=tmp_path, catalog=catalog)


@pytest_asyncio.fixture
async def world(config: Config) -> AsyncIterator[World]:
    world = World(config)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
def studio(discord_server: DiscordServer, config: Config) -> Iterator[Studio]:
    """The bot, running on the loopback Discord."""
    studio = Studio(discord_server, config)
    studio.start_bot()
    yield studio
    studio.close()


@pytest.fixture
def studio_apart(discord_server: DiscordServer, config: Config) -> Iterator[Studio]:
    """Without a bot in this process."""
    studio = Studio(discord_server, config)
    yield studio
    studio.close()


@pytest.fixture
def processes(discord_server: DiscordServer, studio_apart: Studio) -> Iterator[Processes]:
    """Bots as processes of their own, at the same Discord and with the same storage."""
    processes = Processes(discord_server, studio_apart.config)
    yield processes
    processes.close()
