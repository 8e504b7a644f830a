"""The demo's world: one guild with people in it, today's time, and a memory from one start to the next.

SimCord keeps everything in memory and lives on 1 January 2026. Here it gets today's clock, and its
channels are kept in a folder, so that yesterday's pictures are there with buttons that still work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import discord
from discord import app_commands
from simcord.backend import Backend
from simcord.builders import ChannelHandle
from simcord.env import Env

from bot import errors
from easel.simulated.guide import Guide
from easel.simulated.kept import keep, restore
from easel.simulated.page import DemoPage
from storage.supervision import logged, supervised

log = logging.getLogger(__name__)

SETTLE_S = 25.0
"""Seconds that SimCord lets the bot take for an answer: ample, and shorter than what it puts off on purpose
(`bot.reactions.TOLD_S`), which would be waited for.
"""
TICK_S = 0.5


class World(Env):
    """SimCord's Discord, in which a refusal that was answered is no crash of the bot, nor is a full disk."""

    def __init__(self, client: discord.Client) -> None:
        super().__init__(client, check_errors=False, settle_timeout=SETTLE_S)
        self.backend = _Backend()

    def _record_error(self, error: BaseException) -> None:
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        if not (errors.expected(cause) or errors.outage(cause)):
            super()._record_error(error)


class _Backend(Backend):
    """SimCord takes what follows a promised answer for that answer, even where it was deleted since.

    With Discord it is a message of its own then, as private as it wants to be.
    """

    def delete_message(self, channel_id: int, message_id: int) -> None:
        super().delete_message(channel_id, message_id)
        for interaction in self.interactions.values():
            if interaction.message_id == message_id and interaction.loading:
                interaction.complete_deferred()


class SimulatedDiscord:
    """A guild with two members and a moderator, and the page on which to be each of them."""

    def __init__(self, client: discord.Client, folder: Path) -> None:
        self._env = World(client)
        self._folder = folder
        self._env.backend.edit_bot_profile("Easel")
        guild = self._env.create_guild("Easel's demo")
        self.channel: ChannelHandle = guild.create_text_channel("pictures")
        moderator = guild.create_role(
            "Moderator",
            permissions=discord.Permissions(
                manage_guild=True, manage_messages=True, moderate_members=True, ban_members=True
            ),
        )
        self._viewers = [
            guild.add_member(self._env.create_user("ada", global_name="Ada")),
            guild.add_member(self._env.create_user("ben", global_name="Ben")),
            guild.add_member(self._env.create_user("mo", global_name="Mo (moderator)"), roles=[moderator]),
        ]
        self._kept = [self.channel, *(viewer.user.dm_channel for viewer in self._viewers)]
        self._guide = Guide(self._env, self._env.create_user("guide", bot=True, global_name="Guide").id)
        # Everybody above was made at SimCord's first instant and has the same id on every start; what comes
        # from now on gets ids of today, which no earlier start has used.
        self._keep_time()
        restore(self._env, folder)
        self._guide.greet(self.channel)
        self._seen = -1
        self._keeps = True
        """False where the last try failed, which was said then."""

    @asynccontextmanager
    async def page(self, port: int) -> AsyncIterator[DemoPage]:
        """The page while it is served; the bot is connected and has its commands.

        Raises:
            SetupError: the port is taken.
        """
        await self._env.start()
        try:
            page = DemoPage(self._env, self.channel, self._viewers, self._guide, port)
            async with page:
                ticking = asyncio.create_task(self._tick(page))
                try:
                    yield page
                finally:
                    ticking.cancel()
        finally:
            await self._env.shutdown()
            self._save()

    async def _tick(self, page: DemoPage) -> None:
        """SimCord shows what an action of the page caused; what the bot does by itself is shown from here.

        During an action time stands still: SimCord forgets it after three seconds of its clock without an
        answer, and on a busy machine the bot may take longer.
        """
        while True:
            await asyncio.sleep(TICK_S)
            if page.busy:
                continue
            self._keep_time()
            if len(self._env.backend.transcript) != self._seen:
                with supervised(logged(log, "the page could not be shown anew")):
                    page.publish_all()
                    self._save()

    def _keep_time(self) -> None:
        behind = (datetime.now(UTC) - self._env.now()).total_seconds()
        if behind > 0:
            self._env.backend.advance_clock(behind)

    def _save(self) -> None:
        """Keep the channels, and forget the record of every request, which grows without end."""
        try:
            keep(self._env, self._kept, self._folder)
            self._keeps = True
        except OSError as error:
            if self._keeps:
                log.error("the demo's channels are not kept: %s", error)
            self._keeps = False
        self._env.backend.transcript.clear()
        self._env.backend.http_requests.clear()
        self._seen = 0
