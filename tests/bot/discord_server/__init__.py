"""A loopback Discord for tests: the real discord.py speaks to it as to the real one."""

from tests.bot.discord_server.faults import (
    Refusal,
    expired_token,
    missing_permissions,
    rate_limited,
    unknown_channel,
)
from tests.bot.discord_server.interactions import Interaction
from tests.bot.discord_server.judge import DOCUMENT, HOW_TO_GET_IT, Call
from tests.bot.discord_server.server import DiscordServer
from tests.bot.discord_server.world import Channel, Guild, Message, User

__all__ = [
    "DOCUMENT",
    "HOW_TO_GET_IT",
    "Call",
    "Channel",
    "DiscordServer",
    "Guild",
    "Interaction",
    "Message",
    "Refusal",
    "User",
    "expired_token",
    "missing_permissions",
    "rate_limited",
    "unknown_channel",
]
