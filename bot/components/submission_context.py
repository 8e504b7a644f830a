"""Read an interaction: who asks, where, and what may be posted there."""

from __future__ import annotations

import discord

from actions.permissions import Channel, Permission
from actions.submit import SubmissionContext
from bot.components.press import Interaction, locale_of
from storage.monotonic import monotonic
from storage.tables import Address

_FLAGS = {
    "view_channel": Permission.VIEW_CHANNEL,
    "send_messages": Permission.SEND_MESSAGES,
    "send_messages_in_threads": Permission.SEND_MESSAGES_IN_THREADS,
    "attach_files": Permission.ATTACH_FILES,
}


def context_of(interaction: Interaction, press: str | None = None) -> SubmissionContext:
    """The facts of an interaction, by which a job is checked, written and answered."""
    return SubmissionContext(
        address=address_of(interaction),
        member_name=interaction.user.display_name,
        interaction_id=interaction.id,
        place=place_of(interaction),
        press=press,
    )


def address_of(interaction: Interaction) -> Address:
    message = interaction.message
    return Address(
        member_id=interaction.user.id,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        reply_to=None if message is None or message.flags.ephemeral else message.id,
        locale=locale_of(interaction),
        upload_limit=interaction.filesize_limit,
        user_install=is_user_install(interaction),
        interaction_token=interaction.token,
        heard=monotonic(),
    )


def place_of(interaction: Interaction) -> Channel:
    channel = interaction.channel
    held = frozenset(
        permission for name, permission in _FLAGS.items() if getattr(interaction.app_permissions, name)
    )
    return Channel(
        guild_id=interaction.guild_id,
        thread=isinstance(channel, discord.Thread),
        age_restricted=_age_restricted(channel),
        user_install=is_user_install(interaction),
        permissions=held,
    )


def is_user_install(interaction: Interaction) -> bool:
    """True if only the member has installed Easel, not the server: Easel cannot post there by itself.

    In its own direct messages it can, whoever installed it.
    """
    own = interaction.context.dm_channel
    return interaction.is_user_integration() and not interaction.is_guild_integration() and not own


def _age_restricted(channel: object) -> bool:
    """Channels and threads say it; in direct messages nobody can set it."""
    is_nsfw = getattr(channel, "is_nsfw", None)
    return bool(is_nsfw()) if callable(is_nsfw) else False
