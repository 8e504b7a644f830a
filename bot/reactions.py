"""✉️ and ❌ below a member's own job: its pictures sent to them, and the job taken back.

Needs no privileged intent: Discord tells who reacted to which message, and the database whose job it is.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import discord
from sqlalchemy.orm import Session

from actions.word_filter import ForbiddenWords
from bot import errors
from bot.components.press import telling
from bot.components.retract import RetractionSubject, retract
from bot.components.send_to_dm import send_home
from bot.discord_io import posting
from bot.discord_io.failures import FAILURES
from bot.discord_io.posting import only
from prompts.translation import speak
from storage.backends import Backends
from storage.errors import Banned, NoSuchMessage, NotYours
from storage.tables import Batch, Member
from storage.takedowns import TakenDown

log = logging.getLogger(__name__)

Effect = Callable[[discord.Client, Backends, discord.RawReactionActionEvent], Awaitable[object]]

TOLD_S = 30.0
"""For so long a failure is told in the channel: direct messages may be what failed."""
ABOUT_THE_MEMBER = (Banned, ForbiddenWords, TakenDown)
"""Refusals that are nobody else's business."""


async def react(client: discord.Client, backends: Backends, reaction: discord.RawReactionActionEvent) -> None:
    """Do what a reaction means; nothing where the message is about no job of whoever reacted."""
    effect = _EFFECTS.get(reaction.emoji.name.replace("\ufe0f", ""))
    own = client.user is not None and reaction.user_id == client.user.id
    if effect is None or own:
        return
    speak(await backends.database.read(_locale, reaction.user_id))
    async with telling(partial(_explain, client, reaction)):
        with suppress(NoSuchMessage, NotYours):
            await effect(client, backends, reaction)


async def _explain(
    client: discord.Client, reaction: discord.RawReactionActionEvent, error: Exception
) -> None:
    errors.note(f"reaction to message {reaction.message_id}", error)
    tell = _tell_directly if isinstance(error, ABOUT_THE_MEMBER) else _tell
    await tell(client, reaction, errors.sentence(error, reference=reaction.message_id))


def _locale(session: Session, member_id: int) -> str | None:
    """A reaction does not tell its member's language: what they chose, or what their Discord last spoke."""
    member = session.get(Member, member_id)
    return None if member is None else member.settings.get("language", member.locale)


async def _send_home(
    client: discord.Client, backends: Backends, reaction: discord.RawReactionActionEvent
) -> None:
    subject = await backends.database.read(RetractionSubject.of_message, reaction.message_id)
    if isinstance(subject.job, Batch) or subject.job.member_id != reaction.user_id:
        raise NotYours
    job_id, asked_in = subject.job.id, reaction.guild_id
    await send_home(client, backends, reaction.user_id, job_id, subject.image_id, asked_in=asked_in)


async def _retract(
    client: discord.Client, backends: Backends, reaction: discord.RawReactionActionEvent
) -> None:
    await retract(client, backends, reaction.user_id, reaction.channel_id, reaction.message_id)


_EFFECTS: dict[str, Effect] = {"✉": _send_home, "❌": _retract}


async def _tell_directly(
    client: discord.Client, reaction: discord.RawReactionActionEvent, sentence: str
) -> None:
    outgoing = posting.OutgoingMessage(sentence, reaction.user_id)
    try:
        await posting.post_directly(client, outgoing, secrets.token_hex(12))
    except FAILURES as error:
        log.info("member %s could not be told: %s", reaction.user_id, error)


async def _tell(client: discord.Client, reaction: discord.RawReactionActionEvent, sentence: str) -> None:
    channel = client.get_partial_messageable(reaction.channel_id, guild_id=reaction.guild_id)
    message = channel.get_partial_message(reaction.message_id)
    try:
        await channel.send(
            f"<@{reaction.user_id}> {sentence}",
            reference=message.to_reference(fail_if_not_exists=False),
            allowed_mentions=only(reaction.user_id),
            nonce=secrets.token_hex(12),
            delete_after=TOLD_S,
        )
    except FAILURES as error:
        log.info("channel %s could not be told: %s", reaction.channel_id, error)
