"""New messages by an interaction's token: requested once, since Discord has no nonce for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import aiohttp
import discord
from discord.http import json_or_text
from discord.webhook.async_ import AsyncWebhookAdapter, async_context


class OnceAdapter(AsyncWebhookAdapter):
    """discord.py's own, but for one thing: a POST that makes a message is not repeated where Discord errs.

    discord.py repeats every request up to five times after 5xx, and after some broken connections. Edits and
    deletions may be repeated; of a message that was posted before Discord erred there would be two. A rate
    limit still is waited for, since then nothing was posted.
    """

    def execute_webhook(self, *args: Any, session: aiohttp.ClientSession, **options: Any) -> Any:
        once = cast("aiohttp.ClientSession", _Once(session))
        return super().execute_webhook(*args, session=once, **options)


class _Once:
    """A session whose answers of 5xx and broken connections end discord.py's loop of tries."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def request(
        self, *args: Any, **options: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse, bool | None]:
        return _uncertain_once(self._session.request(*args, **options))


@asynccontextmanager
async def _uncertain_once(
    request: AbstractAsyncContextManager[aiohttp.ClientResponse],
) -> AsyncIterator[aiohttp.ClientResponse]:
    try:
        async with request as response:
            if response.status >= 500:
                raise discord.DiscordServerError(response, await json_or_text(response))
            yield response
    except aiohttp.ClientConnectorError:
        raise
    except OSError as error:
        # discord.py looks for some of these, and tries again.
        raise aiohttp.ServerDisconnectedError(str(error)) from error


def install() -> None:
    """Use it in this context, and in those made of it; a simulated Discord's adapter is left in its place."""
    if type(async_context.get()) is AsyncWebhookAdapter:
        async_context.set(OnceAdapter())  # type: ignore[no-untyped-call]
