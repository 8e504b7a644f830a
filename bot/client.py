"""The Discord client: what it listens to, how its commands reach Discord, and how errors become answers."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from discord.utils import MISSING

from bot import commands, errors, reactions
from bot.command_options import check_options
from bot.components import Press, submitted
from bot.components.press import Interaction, locale_of
from bot.delivery.worker import DeliveryWorker
from bot.discord_io import webhooks
from bot.exports import Exports
from bot.languages import CommandTranslator, Languages
from bot.messages.typed import NOTHING, Typed
from bot.sweeper import Sweeper
from bot.warm_up import rehearse
from prompts.translation import speak
from storage import members
from storage.backends import Backends
from storage.config import DISCORD_URL
from storage.private_files import make_private_folder

log = logging.getLogger(__name__)


class Tree(app_commands.CommandTree["EaselBot"]):
    """Commands work in guilds, bot DMs and, where a member installed Easel for themselves, everywhere."""

    def __init__(self, client: EaselBot) -> None:
        super().__init__(
            client,
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=True
            ),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
        )

    async def interaction_check(self, interaction: discord.Interaction[EaselBot], /) -> bool:
        """Lets everybody in whose options can be read, and speaks their language from here on."""
        speak(locale_of(interaction))
        if interaction.type is discord.InteractionType.application_command:
            check_options(cast("dict[str, Any]", interaction.data or {}))
        return True

    async def on_error(
        self, interaction: discord.Interaction[EaselBot], error: app_commands.AppCommandError, /
    ) -> None:
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        await self.client.explain(interaction, cause)


class EaselBot(discord.Client):
    """Easel's presence on Discord. Asks for no privileged intent and pings nobody by default."""

    def __init__(self, backends: Backends, **options: Any) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            **options,
        )
        self.backends = backends
        self.languages = Languages()
        self.tree = Tree(self)
        for command in (*commands.ALL, *commands.MENUS):
            self.tree.add_command(command)
        self.add_dynamic_items(Press)
        self.delivery = DeliveryWorker(self, backends)
        self.exports = Exports(self, backends)
        self.sweeper = Sweeper(backends)
        self._use_endpoint(backends.config.discord_url)

    async def setup_hook(self) -> None:
        webhooks.install()
        if self.backends.config.discord_url != DISCORD_URL:
            await self._find_gateway()
        self.languages.load(await self.backends.database.read(members.languages))
        await asyncio.to_thread(rehearse, self.backends)
        await self.tree.set_translator(CommandTranslator())
        await self._sync_commands()
        self.delivery.start()
        self.exports.start()
        self.sweeper.start()

    async def on_interaction(self, interaction: Interaction) -> None:
        """A form that was submitted. discord.py has found commands and buttons by itself before."""
        if interaction.type is discord.InteractionType.modal_submit:
            await submitted(interaction)

    async def on_raw_reaction_add(self, reaction: discord.RawReactionActionEvent) -> None:
        await reactions.react(self, self.backends, reaction)

    async def close(self) -> None:
        for part in (self.delivery, self.exports, self.sweeper):
            await asyncio.to_thread(part.stop)
        await super().close()

    async def explain(self, interaction: Interaction, error: Exception, typed: Typed = NOTHING) -> None:
        """Tell the member in one sentence, which only they see, what went wrong and what to do.

        Below it stands what they have `typed` into a form, or else the command that the error names.
        """
        errors.note(f"interaction {interaction.id}", error)
        sentence = errors.sentence(error, interaction.id, typed)
        echo = errors.attachment(error, typed)
        file = MISSING if echo is None else discord.File(io.BytesIO(echo.encode()), "prompt.txt")
        try:
            await _answer_privately(interaction, sentence, file)
        except discord.HTTPException as lost:
            log.warning("interaction %s could not be answered: %s", interaction.id, lost)

    async def _sync_commands(self) -> None:
        """Send the commands to Discord when they changed since, or when Discord lists others."""
        translator = self.tree.translator
        assert translator is not None
        commands_ = self.tree.get_commands()
        payload = [await command.get_translated_payload(self.tree, translator) for command in commands_]
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        remembered = self._sync_memory()
        if remembered.exists() and remembered.read_text() == digest and await self._lists_our_commands():
            return
        await self.tree.sync()
        make_private_folder(remembered.parent)
        remembered.write_text(digest)
        log.info("sent %s commands to Discord", len(payload))

    def _sync_memory(self) -> Path:
        return self.backends.config.data_dir / f"commands-{self.application_id}.sha256"

    async def _lists_our_commands(self) -> bool:
        try:
            listed = {command.name for command in await self.tree.fetch_commands()}
        except discord.HTTPException:
            return False
        return listed == {command.name for command in self.tree.get_commands()}

    def _use_endpoint(self, url: str) -> None:
        """Speak to another HTTP endpoint than Discord's own (a test server, a proxy)."""
        if url != DISCORD_URL:
            Route.BASE = url.rstrip("/")

    async def _find_gateway(self) -> None:
        """Ask that endpoint where its gateway is; where it does not say, it is on the same host."""
        try:
            answer = await self.http.request(Route("GET", "/gateway"))
            address = answer["url"]
        except discord.HTTPException:
            parts = urlsplit(self.backends.config.discord_url)
            address = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/"
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(address)


async def _answer_privately(interaction: Interaction, sentence: str, file: discord.File) -> None:
    response = interaction.response
    if not response.is_done():
        await response.send_message(sentence, file=file, ephemeral=True)
        return
    if response.type is discord.InteractionResponseType.deferred_channel_message:
        # What was promised for all to see cannot become private.
        with suppress(discord.HTTPException):
            await interaction.delete_original_response()
    await interaction.followup.send(sentence, file=file, ephemeral=True)
