"""The demo's Discord: SimCord's in-process server with one guild, one channel and a page in the browser.

SimCord keeps everything in memory and lives on 1 January 2026. Here it gets today's clock, and its
channel is kept in a folder, so that yesterday's pictures are there with buttons that still work. SimCord
is pinned: the few private names that this module touches are all in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import discord
from pydantic import TypeAdapter, ValidationError
from simcord.backend.models import Message
from simcord.backend.models.message import EPHEMERAL_FLAG
from simcord.builders import ChannelHandle
from simcord.env import Env
from simcord.preview import Preview

from storage.private_files import make_private_folder

log = logging.getLogger(__name__)

SETTLE_S = 60.0
"""How long SimCord lets the bot take for an answer; a busy machine is no fault of the bot's."""
TICK_S = 0.5

_messages = TypeAdapter(list[Message])


class SimulatedDiscord:
    """A guild with two members and a moderator, and the page on which to be each of them."""

    def __init__(self, client: discord.Client, folder: Path) -> None:
        self._env = Env(client, check_errors=False, settle_timeout=SETTLE_S)
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
        # Everybody above was made at SimCord's first instant and has the same id on every start; what comes
        # from now on gets ids of today, which no earlier start has used.
        self._keep_time()
        _restore(self._env, self.channel.id, folder)
        self._seen = -1

    @asynccontextmanager
    async def page(self, port: int) -> AsyncIterator[Preview]:
        """The page while it is served; the bot is connected and has its commands.

        Raises:
            OSError: the port is taken.
        """
        await self._env.start()
        try:
            preview = self._env.preview(self.channel, viewers=self._viewers, layout="channel", port=port)
            _accept_clicks_on_a_page_that_just_changed(preview)
            async with preview:
                ticking = asyncio.create_task(self._tick(preview))
                try:
                    yield preview
                finally:
                    ticking.cancel()
        finally:
            await self._env.shutdown()
            self._save()

    async def _tick(self, preview: Preview) -> None:
        """SimCord shows what an action of the page caused; what the bot does by itself is shown from here."""
        while True:
            await asyncio.sleep(TICK_S)
            self._keep_time()
            if len(self._env.backend.transcript) == self._seen or preview._active_action is not None:
                continue
            preview._advance_presentation_time()
            for page in tuple(preview._pages.values()):
                preview._publish(page, reason="refresh")
            self._save()

    def _keep_time(self) -> None:
        behind = (datetime.now(UTC) - self._env.now()).total_seconds()
        if behind > 0:
            self._env.backend.advance_clock(behind)

    def _save(self) -> None:
        """Keep the channel, and forget the record of every request, which grows without end."""
        _keep(self._env, self.channel.id, self._folder)
        self._env.backend.transcript.clear()
        self._env.backend.http_requests.clear()
        self._seen = 0


def _keep(env: Env, channel_id: int, folder: Path) -> None:
    kept = [
        message for message in env.backend.messages[channel_id].values() if not message.flags & EPHEMERAL_FLAG
    ]
    files = folder / "attachments"
    make_private_folder(files)
    wanted = set()
    for message in kept:
        for attachment in message.attachments:
            wanted.add(attachment["id"])
            file, data = files / attachment["id"], env.backend.cdn.get(attachment["url"])
            if data is not None and not file.exists():
                file.write_bytes(data)
    new = folder / "channel.json.new"
    new.write_bytes(_messages.dump_json(kept))
    new.replace(folder / "channel.json")
    for file in files.iterdir():
        if file.name not in wanted:
            file.unlink()


def _restore(env: Env, channel_id: int, folder: Path) -> None:
    try:
        messages = _messages.validate_json((folder / "channel.json").read_bytes())
    except FileNotFoundError:
        return
    except ValidationError:
        log.warning("the demo's channel was kept by another version of SimCord; it starts empty")
        return
    for message in messages:
        for attachment in message.attachments:
            file = folder / "attachments" / attachment["id"]
            if file.exists():
                env.backend.cdn.store_attachment(
                    int(attachment["id"]), channel_id, attachment["filename"], file.read_bytes(), None
                )
        env.backend.messages[channel_id][message.id] = message
        env.backend.channels[channel_id].last_message_id = message.id


def _accept_clicks_on_a_page_that_just_changed(preview: Preview) -> None:
    """SimCord refuses a click made on a page older than its last publication, which here comes by itself."""
    act = preview._action

    async def act_on_what_is_there_now(context_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        page = preview._get_page(context_id)
        if isinstance(body, Mapping) and "published_revision" in body:
            body = {**body, "published_revision": page.revision}
        return await act(context_id, body)

    preview._action = act_on_what_is_there_now  # type: ignore[method-assign]
