"""Running the Discord client until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import aiohttp
import discord

from easel.stop_signals import watch_signals
from storage.errors import ConfigError

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 60

# Easel never speaks: what voice would need may be missing.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


async def serve(
    make_client: Callable[[], discord.Client], token: str, broken: threading.Event | None = None
) -> None:
    """Keep a client connected until SIGTERM or SIGINT; then close it, so that nothing is left half sent.
    `broken` stops it as well.

    discord.py reconnects by itself once it was logged in; where Discord is down before that, a new client
    tries again, later and later.

    Raises:
        ConfigError: Discord does not know the token.
    """
    told_to_stop = asyncio.Event()
    watch_signals(asyncio.get_running_loop(), told_to_stop.set)
    watching = asyncio.create_task(_watch(broken, told_to_stop)) if broken else None
    pause = 1
    while not told_to_stop.is_set():
        try:
            await _serve_once(make_client(), token, told_to_stop)
        except discord.LoginFailure:
            raise ConfigError(
                "DISCORD_TOKEN was refused by Discord: copy it again from the application's page, under Bot."
            ) from None
        except (aiohttp.ClientError, OSError, discord.DiscordServerError) as error:
            log.warning("Discord cannot be reached (%s); trying again in %s s", error, pause)
            await _sleep_unless(told_to_stop, pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
    if watching:
        watching.cancel()
    log.info("stopped")


async def _watch(broken: threading.Event, told_to_stop: asyncio.Event) -> None:
    while not broken.is_set():  # noqa: ASYNC110  (a thread sets it)
        await asyncio.sleep(1)
    log.error("the worker has lost its device; stopping, so that a new process can begin")
    told_to_stop.set()


async def _serve_once(client: discord.Client, token: str, told_to_stop: asyncio.Event) -> None:
    async with client:
        connected = asyncio.create_task(client.start(token))
        stopped = asyncio.create_task(told_to_stop.wait())
        await asyncio.wait((connected, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not connected.done():
            log.info("stopping")
            await client.close()
            connected.cancel()
        try:
            await connected
        except asyncio.CancelledError:
            log.debug("stopped while connecting")


async def _sleep_unless(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
