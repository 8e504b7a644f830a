"""A Discord client in a thread of its own, logged in at the loopback server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.bot.discord_server.server import DiscordServer

T = TypeVar("T")
C = TypeVar("C", bound=discord.Client)


class Running(Generic[C]):
    """Runs `make()` in a thread until `stop()`; `failed` keeps what ended it early."""

    def __init__(self, make: Callable[[], C], token: str) -> None:
        self.failed: BaseException | None = None
        self._make, self._token = make, token
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bot")

    def start(self) -> Running[C]:
        self._thread.start()
        assert self._ready.wait(60), "the bot did not get ready"
        if self.failed is not None:
            raise self.failed
        return self

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self.failed = error
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self.client = self._make()
        self.loop = asyncio.get_running_loop()
        async with self.client:
            task = asyncio.create_task(self.client.start(self._token))
            ready = (
                asyncio.create_task(self.client.wait_until_ready()) if await self._logged_in(task) else None
            )
            if ready is not None:
                await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
                self._ready.set()
            await task

    async def _logged_in(self, task: asyncio.Task[None]) -> bool:
        # wait_until_ready() may only be asked after login() has begun.
        while not task.done():
            if self.client.application_id is not None:
                return True
            await asyncio.sleep(0.005)
        return False

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.call(self.client.close())
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.failed is not None:
            raise self.failed


@contextmanager
def pointed_at(server: DiscordServer) -> Iterator[None]:
    """discord.py's addresses, as long as this lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Route, "BASE", server.url)
        patch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))
        yield
