"""The requests that write a job's messages."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import discord

from bot.discord_io.uploads import Upload
from storage.clock import Clock
from storage.tables import Batch, Job

MakeView = Callable[[], discord.ui.View | discord.ui.LayoutView]


class _Original:
    """Name of an interaction's first answer in Discord's addresses; discord.py would quote a string's @."""

    def __str__(self) -> str:
        return "@original"


ORIGINAL = cast("int", _Original())

HANDOVER_MS = 120_000
"""So long before its end a token is used no more: what was begun with it must still be finished."""

ANSWERED_WITHIN_MS = 15_000
"""A job may be finished before its command is answered; so long its progress message is waited for."""

_NO_REPLIES = 160002


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to be posted: it mentions `member_id` and notifies nobody else.

    Where the view is a layout, it says everything, and there is no content.
    """

    content: str
    member_id: int
    upload: Upload | None = None
    view: MakeView | None = None
    reply_to: int | None = None

    @property
    def reference(self) -> str:
        """The last line, by which a message without buttons is known again."""
        return self.content.rpartition("\n")[2]


@dataclass(frozen=True)
class ProgressPlace:
    """Place of a progress message: by the interaction's token, or as a message in its channel."""

    token: str | None
    channel_id: int | None = None
    message_id: int | None = None
    ends_soon: bool = field(default=False, compare=False)
    """The token is about to die, and has to be handed over."""

    @classmethod
    def of(cls, job: Job | Batch, clock: Clock, margin_ms: int = 0) -> ProgressPlace | None:
        """None where it cannot be reached any more, and for one of a batch's jobs, which has none.

        `margin_ms`: the token must last so much longer.
        """
        if _told_with_batch(job):
            return None
        left = clock.until(job.token_expires_at or 0)
        if job.interaction_token is not None and left > margin_ms:
            # Hidden after a deferral for all to see, it is not the interaction's first answer.
            message_id = job.progress_message_id if job.ephemeral else None
            return cls(job.interaction_token, message_id=message_id, ends_soon=left < HANDOVER_MS)
        return cls.in_channel(job)

    @classmethod
    def in_channel(cls, job: Job | Batch) -> ProgressPlace | None:
        if _told_with_batch(job):
            return None
        if job.by_token_alone or job.channel_id is None or job.progress_message_id is None:
            return None
        return cls(None, job.channel_id, job.progress_message_id)


def _told_with_batch(job: Job | Batch) -> bool:
    return isinstance(job, Job) and job.batch_id is not None


def only(member_id: int) -> discord.AllowedMentions:
    """Notify this member and nobody else, whatever the prompt says."""
    return discord.AllowedMentions(
        everyone=False, users=[discord.Object(member_id)], roles=False, replied_user=False
    )


def _file(upload: Upload | None) -> discord.File | None:
    return None if upload is None else discord.File(io.BytesIO(upload.data), filename=upload.name)


def _view(make: MakeView | None) -> discord.ui.View | discord.ui.LayoutView | None:
    if make is None:
        return None
    view = make()
    # A stopped view is sent as it is, but not kept in memory: its buttons are found by their custom_id.
    view.stop()
    return view


async def post(
    client: discord.Client, channel_id: int, guild_id: int | None, outgoing: OutgoingMessage, nonce: str
) -> int:
    """Post to a channel; the same nonce within a few minutes makes one message. Returns its id.

    Where the bot may not reply, it is posted without the reference.
    """
    try:
        return await _post(client, channel_id, guild_id, outgoing, nonce)
    except discord.HTTPException as error:
        if error.code != _NO_REPLIES:
            raise
    return await _post(client, channel_id, guild_id, replace(outgoing, reply_to=None), nonce)


async def _post(
    client: discord.Client, channel_id: int, guild_id: int | None, outgoing: OutgoingMessage, nonce: str
) -> int:
    channel = client.get_partial_messageable(channel_id, guild_id=guild_id)
    reference = None
    if outgoing.reply_to is not None:
        reference = discord.MessageReference(
            message_id=outgoing.reply_to, channel_id=channel_id, guild_id=guild_id, fail_if_not_exists=False
        )
    options = {
        "file": _file(outgoing.upload),
        "view": _view(outgoing.view),
        "reference": reference,
        "allowed_mentions": only(outgoing.member_id),
        "nonce": nonce,
    }
    given = {name: value for name, value in options.items() if value is not None}
    message: discord.Message = await channel.send(outgoing.content or None, **given)  # type: ignore[call-overload]
    return message.id


def _webhook(client: discord.Client, token: str) -> discord.Webhook:
    assert client.application_id is not None
    webhook = discord.Webhook.partial(client.application_id, token, client=client)
    # Without it discord.py sends nothing ephemeral.
    webhook.type = discord.WebhookType.application
    return webhook


async def follow_up(
    client: discord.Client, token: str, outgoing: OutgoingMessage, *, ephemeral: bool = False
) -> int:
    """Post through an interaction's token; unlike `post` it has no nonce. Returns the message's id.

    `ephemeral` shows it to the member alone.
    """
    options = {
        "file": _file(outgoing.upload),
        "view": _view(outgoing.view),
        "allowed_mentions": only(outgoing.member_id),
    }
    given = {name: value for name, value in options.items() if value is not None}
    webhook = _webhook(client, token)
    message = await webhook.send(outgoing.content or None, wait=True, ephemeral=ephemeral, **given)  # type: ignore[call-overload]
    return int(message.id)


async def fill_in(client: discord.Client, place: ProgressPlace, outgoing: OutgoingMessage) -> int:
    """Put a message in the progress message's place. Returns its id."""
    return await edit(client, place, outgoing.content or None, view=outgoing.view, upload=outgoing.upload)


async def edit(
    client: discord.Client,
    place: ProgressPlace,
    content: str | None,
    *,
    view: MakeView | None = None,
    upload: Upload | None = None,
    keep_files: bool = False,
) -> int:
    """Change the progress message, buttons and files included; it notifies nobody. Returns its id."""
    options: dict[str, object] = {
        "content": content,
        "view": _view(view),
        "allowed_mentions": discord.AllowedMentions.none(),
    }
    file = _file(upload)
    if file is not None or not keep_files:
        options["attachments"] = [] if file is None else [file]
    if place.token is not None:
        webhook = _webhook(client, place.token)
        changed = await webhook.edit_message(place.message_id or ORIGINAL, **options)  # type: ignore[call-overload]
        return int(changed.id)
    message = await _partial(client, place).edit(**options)  # type: ignore[arg-type]
    return message.id


async def delete(client: discord.Client, place: ProgressPlace) -> None:
    if place.token is not None:
        await _webhook(client, place.token).delete_message(place.message_id or ORIGINAL)
    else:
        await _partial(client, place).delete()


def _partial(client: discord.Client, place: ProgressPlace) -> discord.PartialMessage:
    assert place.channel_id is not None
    assert place.message_id is not None
    return client.get_partial_messageable(place.channel_id).get_partial_message(place.message_id)


async def open_dm(client: discord.Client, member_id: int) -> int:
    """The channel of direct messages with a member."""
    channel = await client.create_dm(discord.Object(member_id))
    return channel.id


async def post_directly(client: discord.Client, outgoing: OutgoingMessage, nonce: str) -> int:
    """Post to the direct messages of the member whom it is for. Returns the message's id."""
    return await post(client, await open_dm(client, outgoing.member_id), None, outgoing, nonce)
