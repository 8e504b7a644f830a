"""Writing, editing and listing messages by Discord's rules."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tests.bot.discord_server.faults import (
    Refusal,
    closed_dms,
    missing_access,
    missing_permissions,
    unknown_channel,
    unknown_message,
)
from tests.bot.discord_server.judge import Call
from tests.bot.discord_server.world import (
    ATTACH_FILES,
    GROUP_DM,
    LOADING,
    PRIVATE_THREAD,
    READ_MESSAGE_HISTORY,
    SEND_IN_THREADS,
    SEND_MESSAGES,
    THREADS,
    VIEW_CHANNEL,
    Channel,
    File,
    Json,
    Message,
    Upload,
    notified,
    snowflake,
)

if TYPE_CHECKING:
    from tests.bot.discord_server.server import DiscordServer


def _stored(channel: Channel, uploads: Iterable[Upload]) -> tuple[File, ...]:
    files = []
    for upload in uploads:
        if len(upload.data) > channel.upload_limit:
            raise Refusal(413, 40005, "Request entity too large")
        files.append(File(snowflake(), upload.filename, upload.data))
    return tuple(files)


def _numbered(rows: list[Json]) -> list[Json]:
    """Components as Discord gives them back: each with an id."""
    numbers = iter(range(1, 100))

    def with_id(item: Json) -> Json:
        inner = {"components": [with_id(one) for one in item["components"]]} if "components" in item else {}
        return {"id": next(numbers), **item, **inner}

    return [with_id(row) for row in rows]


def new_message(
    server: DiscordServer,
    channel: Channel,
    body: Json,
    uploads: Sequence[Upload],
    *,
    interaction: Any = None,
    reference: int | None = None,
) -> Message:
    content = body.get("content") or ""
    empty = not (content or uploads or body.get("embeds") or body.get("components"))
    if empty and not body.get("flags", 0) & LOADING:
        raise Refusal(400, 50006, "Cannot send an empty message")
    message = Message(
        channel,
        server.bot,
        content,
        _numbered(body.get("components") or []),
        _stored(channel, uploads),
        body.get("embeds") or [],
        notified(content, body.get("allowed_mentions")),
        reference,
        body.get("nonce"),
        body.get("flags") or 0,
        interaction=interaction,
    )
    message.remember()
    channel.messages[message.id] = message
    return message


def edit(channel: Channel, message: Message, body: Json, uploads: Sequence[Upload]) -> None:
    if "content" in body:
        message.content = body["content"] or ""
    if "components" in body:
        message.components = _numbered(body["components"] or [])
    if "embeds" in body:
        message.embeds = body["embeds"] or []
    if "attachments" in body:
        kept = {str(item["id"]) for item in body["attachments"] or []}
        message.files = tuple(file for file in message.files if str(file.id) in kept)
    message.files += _stored(channel, uploads)
    message.flags &= ~LOADING
    message.edited = time.time()
    message.remember()


def _channel(server: DiscordServer, call: Call, *needed: int) -> Channel:
    channel = server.channels.get(int(call.parameters["channel_id"]))
    if channel is None:
        raise unknown_channel()
    if channel.type == GROUP_DM or (channel.guild is not None and not channel.guild.has_bot):
        raise missing_access()
    if channel.type == PRIVATE_THREAD and not channel.joined:
        raise missing_access()
    if not channel.bot_permissions & VIEW_CHANNEL:
        raise missing_access()
    if any(not channel.bot_permissions & bit for bit in needed):
        raise missing_permissions()
    return channel


def post(server: DiscordServer, call: Call) -> Json:
    """POST /channels/{channel_id}/messages."""
    channel = _channel(server, call)
    if channel.recipient is not None and channel.recipient.closed_dms:
        raise closed_dms()
    send = SEND_IN_THREADS if channel.type in THREADS else SEND_MESSAGES
    channel = _channel(server, call, send, *([ATTACH_FILES] if call.files else []))
    if channel.locked:
        raise Refusal(400, 160005, "Thread is locked")
    channel.archived = False
    body = call.payload
    nonce = body.get("nonce") if body.get("enforce_nonce") else None
    for known in channel.messages.values():
        if (
            nonce is not None
            and known.nonce == nonce
            and time.time() - known.created < channel.nonce_memory_s
        ):
            return known.json()
    reference = _reference(channel, body.get("message_reference"))
    return new_message(server, channel, body, call.files, reference=reference).json()


def _reference(channel: Channel, wanted: Json | None) -> int | None:
    if wanted is None:
        return None
    if not channel.bot_permissions & READ_MESSAGE_HISTORY:
        raise Refusal(403, 160002, "You cannot reply without permission to read message history")
    id_ = int(wanted["message_id"])
    if id_ in channel.messages:
        return id_
    if wanted.get("fail_if_not_exists", True):
        raise Refusal(400, 50035, "Invalid Form Body: message_reference: Unknown message")
    return None


def _message(channel: Channel, call: Call) -> Message:
    message = channel.messages.get(int(call.parameters["message_id"]))
    if message is None or message.ephemeral:
        raise unknown_message()
    return message


def read(server: DiscordServer, call: Call) -> Json:
    channel = _channel(server, call, READ_MESSAGE_HISTORY)
    return _message(channel, call).json()


def change(server: DiscordServer, call: Call) -> Json:
    channel = _channel(server, call)
    message = _message(channel, call)
    if channel.archived:
        raise Refusal(400, 50083, "Tried to perform an operation on an archived thread")
    edit(channel, message, call.payload, call.files)
    return message.json()


def delete(server: DiscordServer, call: Call) -> None:
    channel = _channel(server, call)
    del channel.messages[_message(channel, call).id]


def history(server: DiscordServer, call: Call) -> list[Json]:
    """GET /channels/{channel_id}/messages: the newest first, as Discord does."""
    channel = _channel(server, call)
    if not channel.bot_permissions & READ_MESSAGE_HISTORY:
        return []
    limit = int(call.query.get("limit", "50"))
    found = channel.shown()
    if "after" in call.query:
        found = [message for message in found if message.id > int(call.query["after"])][:limit]
    elif "before" in call.query:
        found = [message for message in found if message.id < int(call.query["before"])][-limit:]
    else:
        found = found[-limit:]
    return [_without_nonce(message) for message in reversed(found)]


def _without_nonce(message: Message) -> Json:
    return {key: value for key, value in message.json().items() if key != "nonce"}
