"""The part of HTTP API v10 that bots like this one use."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.bot.discord_server import interactions, messages
from tests.bot.discord_server.faults import Refusal
from tests.bot.discord_server.judge import Call
from tests.bot.discord_server.world import Json, snowflake

if TYPE_CHECKING:
    from tests.bot.discord_server.server import DiscordServer


def _me(server: DiscordServer, call: Call) -> Json:
    return server.bot.json()


def _list_commands(server: DiscordServer, call: Call) -> list[Json]:
    return list(server.commands.values())


def _whole_application(server: DiscordServer, call: Call) -> Json:
    return {
        "id": str(server.application_id),
        "name": "Easel",
        "description": "",
        "icon": None,
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": 0,
        "owner": server.owner.json(),
        "bot": server.bot.json(),
        "team": None,
    }


def _put_commands(server: DiscordServer, call: Call) -> list[Json]:
    server.commands = {
        command["name"]: {
            **command,
            "id": str(snowflake()),
            "application_id": str(server.application_id),
            "version": str(snowflake()),
            "type": command.get("type", 1),
            "description": command.get("description", ""),
            "default_member_permissions": command.get("default_member_permissions"),
        }
        for command in call.payload
    }
    return list(server.commands.values())


def _open_dm(server: DiscordServer, call: Call) -> Json:
    user = server.users().get(int(call.payload["recipient_id"]))
    if user is None:
        raise Refusal(404, 10013, "Unknown User")
    return server.dm(user).json()


def _user(server: DiscordServer, call: Call) -> Json:
    return server.users()[int(call.parameters["user_id"])].json()


def _get_channel(server: DiscordServer, call: Call) -> Json:
    channel = server.channels.get(int(call.parameters["channel_id"]))
    if channel is None:
        raise Refusal(404, 10003, "Unknown Channel")
    return channel.json()


def _gateway_url(server: DiscordServer, call: Call) -> Json:
    return {"url": server.gateway_url}


def _gateway_bot(server: DiscordServer, call: Call) -> Json:
    limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
    return {"url": server.gateway_url, "shards": 1, "session_start_limit": limit}


def _typing(server: DiscordServer, call: Call) -> None:
    return None


POST_MESSAGE = ("POST", "/channels/{channel_id}/messages")
_ORIGINAL = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
_FOLLOW_UP = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"
ROUTES: list[tuple[str, str, Callable[[DiscordServer, Call], Any]]] = [
    ("GET", "/users/@me", _me),
    ("GET", "/oauth2/applications/@me", _whole_application),
    ("GET", "/applications/@me", _whole_application),
    ("GET", "/gateway", _gateway_url),
    ("GET", "/gateway/bot", _gateway_bot),
    ("GET", "/users/{user_id}", _user),
    ("POST", "/users/@me/channels", _open_dm),
    ("GET", "/channels/{channel_id}", _get_channel),
    ("POST", "/channels/{channel_id}/typing", _typing),
    ("GET", "/applications/{application_id}/commands", _list_commands),
    ("PUT", "/applications/{application_id}/commands", _put_commands),
    (*POST_MESSAGE, messages.post),
    ("GET", "/channels/{channel_id}/messages", messages.history),
    ("GET", "/channels/{channel_id}/messages/{message_id}", messages.read),
    ("PATCH", "/channels/{channel_id}/messages/{message_id}", messages.change),
    ("DELETE", "/channels/{channel_id}/messages/{message_id}", messages.delete),
    ("POST", "/interactions/{interaction_id}/{interaction_token}/callback", interactions.answer),
    ("POST", "/webhooks/{webhook_id}/{webhook_token}", interactions.follow_up),
    ("GET", _ORIGINAL, interactions.read_message),
    ("PATCH", _ORIGINAL, interactions.edit_message),
    ("DELETE", _ORIGINAL, interactions.delete_message),
    ("GET", _FOLLOW_UP, interactions.read_message),
    ("PATCH", _FOLLOW_UP, interactions.edit_message),
    ("DELETE", _FOLLOW_UP, interactions.delete_message),
]


def template_of(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The route's template and the path's parameters; the most literal template wins."""
    for known_method, template, _ in sorted(ROUTES, key=lambda route: route[1].count("{")):
        if known_method != method:
            continue
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        if match := re.fullmatch(pattern, path):
            return template, match.groupdict()
    return path, {}
