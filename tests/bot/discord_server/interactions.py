"""Commands and presses as a member's client sends them, and what the bot may do with their tokens."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.bot.discord_server.faults import Refusal, expired_token, unknown_message, unknown_webhook
from tests.bot.discord_server.judge import Call
from tests.bot.discord_server.messages import edit, new_message
from tests.bot.discord_server.world import (
    DM_CHANNEL,
    EPHEMERAL,
    GROUP_DM,
    LOADING,
    Channel,
    Json,
    Message,
    User,
    snowflake,
)

if TYPE_CHECKING:
    from tests.bot.discord_server.server import DiscordServer

ANSWER_WITHIN_S = 3.0
TOKEN_LIFE_S = 15 * 60.0
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, CHOICES, OPEN_MODAL = 4, 5, 6, 7, 8, 9


@dataclass(eq=False)
class Interaction:
    user: User
    channel: Channel
    type: int
    data: Json
    message: Message | None = None
    """The message whose button was pressed."""
    id: int = field(default_factory=snowflake)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(40))
    created: float = field(default_factory=time.time)
    answered: float | None = None
    answer_type: int | None = None
    original: Message | None = None
    modal: Json | None = None
    choices: list[Json] | None = None
    followups: list[Message] = field(default_factory=list)
    expired: bool = False

    @property
    def took(self) -> float:
        assert self.answered is not None, "never answered"
        return self.answered - self.created

    @property
    def installed_by_user_only(self) -> bool:
        guild = self.channel.guild
        return self.channel.type == GROUP_DM or (guild is not None and not guild.has_bot)

    def json(self, server: DiscordServer) -> Json:
        guild = self.channel.guild
        owners = {"1": str(self.user.id)} if self.installed_by_user_only else {}
        if guild is not None and guild.has_bot:
            owners = {"0": str(guild.id)}
        elif self.channel.type == DM_CHANNEL:
            owners = {"0": "0"}
        payload: Json = {
            "id": str(self.id),
            "application_id": str(server.application_id),
            "type": self.type,
            "data": self.data,
            "channel": self.channel.json(),
            "channel_id": str(self.channel.id),
            "token": self.token,
            "version": 1,
            "app_permissions": str(self.channel.bot_permissions),
            "locale": self.user.locale,
            "entitlements": [],
            "authorizing_integration_owners": owners,
            "context": 0 if guild else 2 if self.channel.type == GROUP_DM else 1,
            "attachment_size_limit": self.channel.upload_limit,
        }
        if guild is not None:
            payload |= {
                "guild_id": str(guild.id),
                "guild": {"id": str(guild.id), "locale": "en-US", "features": []},
                "guild_locale": "en-US",
                "member": self.user.member_json(),
            }
        else:
            payload["user"] = self.user.json()
        if self.message is not None:
            payload["message"] = self.message.json()
        return payload


def answer(server: DiscordServer, call: Call) -> Json:
    """POST /interactions/{id}/{token}/callback."""
    interaction = server.interactions.get(call.parameters["interaction_token"])
    late = interaction is not None and time.time() - interaction.created > ANSWER_WITHIN_S
    if interaction is None or late or interaction.expired:
        raise Refusal(404, 10062, "Unknown interaction")
    if interaction.answered is not None:
        raise Refusal(400, 40060, "Interaction has already been acknowledged.")
    kind, data = call.payload["type"], call.payload.get("data") or {}
    message = _first_message(server, interaction, kind, data, call)
    interaction.answered, interaction.answer_type = time.time(), kind
    answered: Json = {"id": str(interaction.id), "type": interaction.type}
    if message is not None:
        answered |= {
            "response_message_id": str(message.id),
            "response_message_loading": bool(message.flags & LOADING),
            "response_message_ephemeral": message.ephemeral,
        }
    result: Json = {"interaction": answered}
    if kind in (MESSAGE, UPDATE) and message is not None:
        result["resource"] = {"type": kind, "message": message.json()}
    return result


def _first_message(
    server: DiscordServer, interaction: Interaction, kind: int, data: Json, call: Call
) -> Message | None:
    if kind in (MESSAGE, DEFERRED_MESSAGE):
        body = data if kind == MESSAGE else {"flags": data.get("flags", 0) | LOADING}
        message = new_message(server, interaction.channel, body, call.files, interaction=interaction)
        if interaction.type == COMPONENT and interaction.message is not None:
            message.reference = interaction.message.id
        interaction.original = message
    elif kind in (DEFERRED_UPDATE, UPDATE):
        assert interaction.message is not None
        if kind == UPDATE:
            edit(interaction.channel, interaction.message, data, call.files)
        interaction.original = interaction.message
    elif kind == OPEN_MODAL:
        interaction.modal = data
    elif kind == CHOICES:
        interaction.choices = data["choices"]
    return interaction.original


def _known(server: DiscordServer, call: Call) -> Interaction:
    interaction = server.interactions.get(call.parameters["webhook_token"])
    if interaction is None:
        raise unknown_webhook()
    if interaction.expired or time.time() - interaction.created > TOKEN_LIFE_S:
        raise expired_token()
    if interaction.answered is None:
        raise unknown_webhook()
    return interaction


def _addressed(server: DiscordServer, call: Call) -> tuple[Interaction, Message]:
    interaction = _known(server, call)
    which = call.parameters.get("message_id", "@original")
    message = interaction.original if which == "@original" else None
    for candidate in (interaction.original, *interaction.followups):
        if candidate is not None and str(candidate.id) == which:
            message = candidate
    if message is None or message.id not in interaction.channel.messages:
        raise unknown_message()
    return interaction, message


def read_message(server: DiscordServer, call: Call) -> Json:
    return _addressed(server, call)[1].json()


def edit_message(server: DiscordServer, call: Call) -> Json:
    interaction, message = _addressed(server, call)
    edit(interaction.channel, message, call.payload, call.files)
    return message.json()


def delete_message(server: DiscordServer, call: Call) -> None:
    interaction, message = _addressed(server, call)
    del interaction.channel.messages[message.id]


def follow_up(server: DiscordServer, call: Call) -> Json:
    interaction = _known(server, call)
    original = interaction.original
    waiting = original is not None and original.id in interaction.channel.messages
    if original is not None and waiting and original.flags & LOADING:
        edit(interaction.channel, original, call.payload, call.files)
        return original.json()
    if interaction.installed_by_user_only and len(interaction.followups) >= 5:
        raise Refusal(400, 40094, "Maximum number of follow up messages reached")
    message = new_message(server, interaction.channel, call.payload, call.files, interaction=interaction)
    interaction.followups.append(message)
    return message.json()


def typed_options(arguments: dict[str, Any]) -> list[Json]:
    """Options of a slash command as the client sends them."""
    types = {str: 3, int: 4, bool: 5, float: 10}
    options: list[Json] = []
    for name, value in arguments.items():
        if isinstance(value, User):
            options.append({"name": name, "type": 6, "value": str(value.id)})
        else:
            options.append({"name": name, "type": types[type(value)], "value": value})
    return options


def is_private(message: Message) -> bool:
    return bool(message.flags & EPHEMERAL)
