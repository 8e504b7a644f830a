"""`easel bot`: the Discord process. Needs no torch."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from easel import start, tenancy

log = logging.getLogger(__name__)


def bot() -> None:
    """Answer on Discord; `easel worker` draws, here or on other machines."""
    settings = start.configure()
    token = start.token_of(settings)
    start.require("bot", "discord")
    from bot.client import EaselBot
    from easel.serving import serve

    if urlsplit(settings.broker).scheme == "memory":
        log.warning(
            "EASEL_BROKER_URL is memory://, which ends at this process: workers will notice jobs a second "
            "late and members see no progress. Set it to the workers' redis:// or amqp:// address."
        )
    with tenancy.alone(settings.data_dir, "easel bot"), start.backends(settings) as backends:
        asyncio.run(serve(lambda: EaselBot(backends), token))
