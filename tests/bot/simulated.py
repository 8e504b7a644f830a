"""SimCord behind one door: a world with a guild, a channel and people in which the real bot runs.

Only this module knows SimCord; the tests speak of members, channels and what they see.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

import discord
import simcord
import simcord.interactions
from discord import app_commands
from simcord.actors import _dispatch_actor_interaction
from simcord.backend import serializers
from simcord.components import walk_components
from simcord.enums import InteractionType
from sqlalchemy import select, text

from bot.client import EaselBot
from bot.command_options import NotAccepted, NotResolved
from prompts.parser import FlagError
from storage.backends import Backends
from storage.config import Config
from storage.errors import EaselError
from storage.tables import OPEN, Delivery

T = TypeVar("T")
Member = simcord.MemberActor
Channel = simcord.ChannelHandle

MENUS = {"sm", "sl", "hw", "hz", "mo", "mf", "md"}
PANELS = {
    "ye",
    "yk",
    "rw",
    "rd",
    "ro",
    "rn",
    "mj",
    "mb",
    "ci",
    "cm",
    "pg",
    "bi",
    "cq",
    "bq",
    "bm",
    "hs",
    "hn",
    "ho",
    "hf",
    "hw",
    "hz",
    "sl",
    "sm",
    "sp",
    "sr",
    "ss",
    "sx",
    "ma",
    "mn",
    "sn",
    "sd",
    "mo",
    "mf",
    "md",
    "mp",
    "mg",
}
"""Verbs of the buttons that stand in messages of Components V2."""
SETTLE_S = 25
"""Longer than the bot's work takes on a busy machine, shorter than what it puts off (`reactions.TOLD_S`)."""
ON_PURPOSE = (EaselError, FlagError, NotAccepted, NotResolved, app_commands.CheckFailure)


class Env(simcord.Env):
    """SimCord, which looks every 50 ms whether the bot has come to rest: five times as often."""

    async def _settle_internal(self, **how: Any) -> None:
        await super()._settle_internal(**{"idle": 0.01, **how})


class World:
    """One guild with one channel, the bot, and whoever the test invites."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._forgiven = 0
        self.backends = Backends.open(config)
        self.bot = EaselBot(self.backends)
        self.env = Env(self.bot, check_errors=False, settle_timeout=SETTLE_S)

    async def open(self) -> None:
        await self.env.start()
        self.guild = self.env.create_guild("Easel")
        self.channel = self.guild.create_text_channel("pictures")

    async def close(self) -> None:
        """Stop the bot; whatever it raised by mistake fails the test now."""
        await self.bot.close()
        await self.env.shutdown()
        self.backends.close()
        mistakes = [error for error in self.env.errors[self._forgiven :] if not _on_purpose(error)]
        if mistakes:
            raise BaseExceptionGroup("the bot made mistakes", mistakes)

    async def restart_bot(self) -> None:
        """The process ends and another begins; Discord and the database stay."""
        await self.bot.close()
        self.backends.close()
        self.backends = Backends.open(self.config)
        self.bot = EaselBot(self.backends)
        await self.env.restart_bot(self.bot)

    def user(self, name: str) -> simcord.UserHandle:
        return self.env.create_user(name)

    def member(self, name: str, **permissions: bool) -> Member:
        roles = []
        if permissions:
            roles = [self.guild.create_role(name, permissions=discord.Permissions(**permissions))]
        return self.guild.add_member(self.user(name), roles=roles)

    def channel_where_bot(self, name: str, **may: bool) -> Channel:
        """A channel with its own rules for the bot."""
        assert self.bot.user is not None
        return self.guild.create_text_channel(
            name, overwrites={self.bot.user: discord.PermissionOverwrite(**may)}
        )

    def messages(self, channel: Channel | None = None) -> list[discord.Message]:
        """What stands in the channel for all to see, oldest first."""
        found = (channel or self.channel).history()
        return [message for message in found if not message.flags.ephemeral]

    async def until(self, condition: Callable[[], T | None], seconds: float = 90) -> T:
        """Wait, by the wall clock, until there is something; then let the bot come to rest."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"still nothing after {seconds} s\n{self.env.transcript()}")
            await asyncio.sleep(0.02)
        await self.env.settle()
        return condition() or found

    async def delivered(self) -> None:
        """Wait until everything that was to reach somebody has."""

        def none_open() -> bool:
            with self.backends.database.reading() as session:
                return session.scalar(select(Delivery.id).where(text(OPEN))) is None

        await self.until(none_open)

    async def picture(
        self, after: int = 0, channel: Channel | None = None, seconds: float = 90
    ) -> discord.Message:
        """The first message with a finished picture and its buttons that came after message `after`.

        It is noted in the database by then, and the progress before it is gone.
        """

        def find() -> discord.Message | None:
            for message in self.messages(channel):
                if message.id > after and message.attachments and len(labels(message)) > 1:
                    return message
            return None

        found = await self.until(find, seconds)
        await self.delivered()
        return found

    def grid_of(self, job_id: int) -> discord.Message:
        """The message with this job's grid; what is delivered at the same time comes in any order."""
        (found,) = [message for message in self.messages() if _shows_grid_of(message, job_id)]
        return found

    def reread(self, message: Any) -> discord.Message:
        """The message as it is now."""
        channel_id = getattr(message, "channel_id", None) or message.channel.id
        stored = self.env.backend.get_message(channel_id, message.id)
        return simcord.ResponseMessage(self.env, stored).message

    def allow_command(self, name: str, member: Member) -> None:
        """What an administrator may do in the server's settings: let this member see a command."""
        command = self.env.backend.find_command(name, None)
        assert command is not None
        self.guild.set_command_permissions(int(command["id"]), {member: True})

    def allow_menu(self, name: str, member: Member) -> None:
        """The same for an entry of a member's menu."""
        menu = self.env.backend.find_command(name, None, discord.AppCommandType.user.value)
        assert menu is not None
        self.guild.set_command_permissions(int(menu["id"]), {member: True})

    def forgive(self) -> None:
        """The bot's mistakes so far were the test's doing."""
        self._forgiven = len(self.env.errors)

    @contextmanager
    def seen_as_now(self, message: discord.Message) -> Iterator[None]:
        """Presses carry the message as it is now, as if the presser's client heard of no change."""
        stored = self.env.backend.get_message(message.channel.id, message.id)
        first = copy.deepcopy(stored.components)
        original = serializers.message_payload

        def as_it_was(backend: Any, one: Any, *args: Any, **kwargs: Any) -> Any:
            payload = original(backend, one, *args, **kwargs)
            return {**payload, "components": copy.deepcopy(first)} if one.id == message.id else payload

        with patch.object(serializers, "message_payload", as_it_was):
            yield

    async def submit(
        self, member: Member, custom_id: str, **fields: str | list[str]
    ) -> simcord.InteractionResult:
        """A form that an older process had opened is submitted, with these texts and choices."""
        controls = [
            {"type": 4, "custom_id": name, "value": value}
            if isinstance(value, str)
            else {"type": 3, "custom_id": name, "values": value}
            for name, value in fields.items()
        ]
        labels = [{"type": 18, "id": number, "component": part} for number, part in enumerate(controls, 1)]
        data = {"custom_id": custom_id, "components": labels}
        result = await _dispatch_actor_interaction(member, InteractionType.MODAL_SUBMIT, self.channel, data)
        assert isinstance(result, simcord.InteractionResult)
        return result

    def post_component(self, custom_id: str) -> simcord.ResponseMessage:
        """A message of the bot's with this button (or menu) alone, as another process might have left it."""
        verb = custom_id.split(":")[1]
        part: dict[str, Any] = {"type": 2, "style": 2, "label": verb, "custom_id": custom_id}
        if verb in MENUS:
            options = [{"label": "Other", "value": "other"}]
            part = {"type": 3, "custom_id": custom_id, "options": options}
        panel = verb in PANELS
        message = self.env.backend.create_message(
            self.channel.id,
            self.env.backend.bot_user.id,
            None if panel else "by another process",
            components=[{"type": 1, "components": [part]}],
            flags=1 << 15 if panel else 0,
        )
        return simcord.ResponseMessage(self.env, message)


def _shows_grid_of(message: discord.Message, job_id: int) -> bool:
    return any(part.get("custom_id") == f"e1:u:{job_id}:1" for part in buttons(message))


def _on_purpose(error: BaseException) -> bool:
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    return isinstance(cause, ON_PURPOSE)


def answer(result: simcord.InteractionResult) -> simcord.ResponseMessage:
    """The message with which the bot answered."""
    assert result.response is not None
    return result.response


def components(message: Any) -> list[dict[str, Any]]:
    """Every component of the message, as Discord was told it."""
    rows = message.components
    if rows and not isinstance(rows[0], dict):
        rows = [row.to_dict() for row in rows]
    return list(walk_components(rows))


def buttons(message: Any) -> list[dict[str, Any]]:
    return [part for part in components(message) if part.get("type") == 2]


def labels(message: Any) -> list[str]:
    return [part.get("label") or part["emoji"]["name"] for part in buttons(message)]


def button(message: Any, label: str) -> dict[str, Any]:
    (found,) = [
        part
        for part in buttons(message)
        if label in (part.get("label"), (part.get("emoji") or {}).get("name"))
    ]
    return found


async def press(member: Member | simcord.UserHandle, message: Any, label: str) -> simcord.InteractionResult:
    result = await member.click(message, custom_id=button(message, label)["custom_id"])
    assert isinstance(result, simcord.InteractionResult)
    return result


async def use(
    member: Member, message: Any, custom_id: str, value: str | None = None
) -> simcord.InteractionResult:
    """Press this button, or choose `value` (or else the first entry) of this menu."""
    (part,) = [part for part in components(message) if part.get("custom_id") == custom_id]
    if part["type"] == 3:
        return await member.select(message, [value or part["options"][0]["value"]], custom_id=custom_id)
    return await member.click(message, custom_id=custom_id)


def prefilled(result: simcord.InteractionResult) -> str:
    """The text with which the form was opened that the bot answered with."""
    assert result.modal is not None
    return str(result.modal["components"][0]["component"].get("value", ""))


async def fill(
    member: Member | simcord.UserHandle, opened: simcord.InteractionResult, **fields: Any
) -> simcord.InteractionResult:
    """Submit the form with which a press was answered."""
    result = await member.submit_modal(opened, fields)
    assert isinstance(result, simcord.InteractionResult)
    return result


def texts(message: Any) -> str:
    """All that the message says, its text displays included."""
    displays = [part["content"] for part in components(message) if part.get("type") == 10]
    return "\n".join([message.content, *displays])


@contextmanager
def interactions_with(**fields: Any) -> Iterator[None]:
    """Interactions as Discord sends them from elsewhere: another locale, size limit, context or install."""
    original = simcord.interactions.base_payload

    def changed(*args: Any, **kwargs: Any) -> Any:
        record, payload = original(*args, **kwargs)
        payload.update(fields)
        return record, payload

    with patch("simcord.interactions.base_payload", changed):
        yield
