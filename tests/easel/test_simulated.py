"""The demo's Discord, without a browser: what SimCord does otherwise than Discord, and what is kept of it."""

from __future__ import annotations

import asyncio
import errno
import io
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import discord
import pytest
from discord import app_commands

from easel.simulated.discord import SimulatedDiscord
from easel.simulated.page import DemoPage

Answer = Callable[[discord.Interaction], Coroutine[Any, Any, None]]


class Bot(discord.Client):
    """Has one command, `/do`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(intents=discord.Intents.none())
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(app_commands.Command(name="do", description="Do it", callback=_typed(answer)))

    async def setup_hook(self) -> None:
        await self.tree.sync()


def _typed(answer: Answer) -> Answer:
    async def do(interaction: discord.Interaction) -> None:
        await answer(interaction)

    return do


@asynccontextmanager
async def demo(folder: Path, answer: Answer) -> AsyncIterator[tuple[SimulatedDiscord, DemoPage]]:
    simulated = SimulatedDiscord(Bot(answer), folder)
    async with simulated.page(0) as page:
        yield simulated, page


async def _do(page: DemoPage) -> dict[str, Any]:
    """Type `/do` and press Enter, as the page's script has it."""
    shown = page._open_page()
    return await page._action(
        shown.id,
        {
            "protocol_version": 3, "sequence": 1, "request_id": "one", "generation": shown.generation,
            "bot_generation": page.env._generation, "kind": "send_message", "content": "/do",
            "published_revision": shown.revision,
        },
    )  # fmt: skip


async def _privately_instead(interaction: discord.Interaction) -> None:
    await interaction.response.defer(thinking=True)
    await interaction.delete_original_response()
    await interaction.followup.send("not like that", ephemeral=True)


async def test_what_follows_a_deleted_promise_is_a_private_message_of_its_own(tmp_path: Path) -> None:
    async with demo(tmp_path, _privately_instead) as (simulated, page):
        result = await _do(page)
        said = list(page.env.backend.messages[simulated.channel.id].values())[-1]
    assert said.content == "not like that"
    assert said.is_ephemeral
    assert result["outcomes"][-1]["messageId"] == str(said.id)


async def _late(interaction: discord.Interaction) -> None:
    await asyncio.to_thread(time.sleep, 3.5)
    await interaction.response.send_message("there it is")


async def test_a_busy_machine_may_take_longer_than_three_seconds(tmp_path: Path) -> None:
    async with demo(tmp_path, _late) as (_, page):
        result = await _do(page)
        assert page.env.errors == []
    assert (result["settlement"], result["diagnostics"]) == ("settled", [])


def _raising(error: Exception) -> Answer:
    async def fail(_: discord.Interaction) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "crashes"), [(OSError(errno.ENOSPC, "No space left on device"), 0), (ValueError("ours"), 1)]
)
async def test_a_full_disk_is_no_crash(tmp_path: Path, error: Exception, crashes: int) -> None:
    async with demo(tmp_path, _raising(error)) as (_, page):
        result = await _do(page)
        assert len(page.env.errors) == crashes
    assert len(result["diagnostics"]) == crashes


class Disk:
    """Takes half of a file's bytes while it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._write = Path.write_bytes
        monkeypatch.setattr(Path, "write_bytes", lambda file, data: self(file, data))

    def __call__(self, file: Path, data: bytes) -> int:
        if not self.full:
            return self._write(file, data)
        self._write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


async def _with_a_file(interaction: discord.Interaction) -> None:
    file = discord.File(io.BytesIO(b"0123456789"), "a.png")
    await interaction.response.send_message("a picture", file=file)


def _kept(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


async def test_a_disk_that_is_full_for_a_while_costs_the_demo_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch)
    async with demo(tmp_path, _with_a_file) as (simulated, page):
        disk.full = True
        await _do(page)
        simulated._save()
        assert _kept(tmp_path) == []
        disk.full = False
    assert "not kept: [Errno 28] No space left on device" in caplog.text
    assert b"0123456789" in _kept(tmp_path)
    async with demo(tmp_path, _with_a_file) as (simulated, page):
        messages = page.env.backend.messages[simulated.channel.id].values()
        (attachment,) = [each for message in messages for each in message.attachments]
        assert page.env.backend.cdn.get(attachment["url"]) == b"0123456789"


async def test_one_failure_to_show_the_page_is_not_the_last_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown = asyncio.Event()
    looks = [KeyError("a page that was just closed"), None]

    def look() -> None:
        if error := looks.pop(0):
            raise error
        shown.set()

    async with demo(tmp_path, _late) as (simulated, page):
        monkeypatch.setattr(page, "publish_all", look)
        # What a bot posts by itself is no action of the page.
        await page.env.bot.get_partial_messageable(simulated.channel.id).send("done")
        await asyncio.wait_for(shown.wait(), 10)
        monkeypatch.undo()
    assert "could not be shown anew" in caplog.text
    assert b"done" in (tmp_path / "channel.json").read_bytes()
