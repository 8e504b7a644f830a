"""One dynamic item for every button and menu: it finds what to do from the `custom_id` alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self, TypeVar, cast

import discord

from bot.components.custom_ids import TEMPLATE, CustomId, parse
from bot.languages import Languages
from bot.messages.typed import NOTHING, Typed
from prompts.translation import speak
from storage.backends import Backends
from storage.errors import Refused

H = TypeVar("H")

Interaction = discord.Interaction[discord.Client]
Handler = Callable[["Pressed"], Awaitable[None]]
HANDLERS: dict[str, Handler] = {}


class UnknownButton(Refused):
    """A verb that this version has not, or not yet."""


class Host(Protocol):
    """Parts of the client that views need."""

    backends: Backends
    languages: Languages

    async def explain(self, interaction: Interaction, error: Exception, typed: Typed = NOTHING) -> None:
        """Answer with the sentence for `error`, and give back what was `typed`."""


@dataclass(frozen=True)
class Pressed:
    """A button that was pressed, or a menu in which `values` were chosen."""

    interaction: Interaction
    custom_id: CustomId
    values: tuple[str, ...] = ()

    @property
    def id(self) -> int:
        return self.custom_id.id

    @property
    def n(self) -> int:
        if self.custom_id.n is None:
            raise UnknownButton(str(self.custom_id))
        return self.custom_id.n

    @property
    def backends(self) -> Backends:
        return host(self.interaction).backends


def host(interaction: Interaction) -> Host:
    return cast("Host", interaction.client)


def locale_of(interaction: Interaction) -> str | None:
    """Locale to speak in: the one that the member has chosen, or their Discord's."""
    return host(interaction).languages.of(interaction.user.id, interaction.locale.value)


def on_press(verb: str) -> Callable[[Handler], Handler]:
    """Register what a verb does."""
    return register(HANDLERS, verb)


def register(handlers: dict[str, H], verb: str) -> Callable[[H], H]:
    """Register the one handler of a verb."""

    def decorate(handler: H) -> H:
        if verb in handlers:
            raise ValueError(f"{verb!r} has a handler already")
        handlers[verb] = handler
        return handler

    return decorate


@asynccontextmanager
async def telling(tell: Callable[[Exception], Awaitable[object]]) -> AsyncIterator[None]:
    """One of the four edges where anything is caught: what a member did in Discord.

    `tell` logs what went wrong, and says it to the member.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  told to the member
        await tell(error)


def _known(custom_id: str) -> CustomId:
    try:
        return parse(custom_id)
    except ValueError:
        raise UnknownButton(custom_id) from None


def _handler(verb: str) -> Handler:
    try:
        return HANDLERS[verb]
    except KeyError:
        raise UnknownButton(verb) from None


class Press(discord.ui.DynamicItem[discord.ui.Item[Any]], template=TEMPLATE):
    """A button or menu whose whole state is its `custom_id`, so that it outlives every restart."""

    @classmethod
    async def from_custom_id(  # discord.py's signature
        cls,
        interaction: Interaction,  # noqa: ARG003
        item: discord.ui.Item[Any],
        match: re.Match[str],  # noqa: ARG003
        /,
    ) -> Self:
        return cls(item)

    async def callback(self, interaction: Interaction) -> None:
        speak(locale_of(interaction))
        values = tuple(self.item.values) if isinstance(self.item, discord.ui.Select) else ()
        async with telling(partial(host(interaction).explain, interaction)):
            custom_id = _known(self.custom_id)
            await _handler(custom_id.verb)(Pressed(interaction, custom_id, values))


def button(
    verb: str,
    id_: int,
    n: int | None = None,
    *,
    label: str | None = None,
    emoji: str | None = None,
    used: bool = False,
    remixed: bool = False,
    disabled: bool = False,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    text: str | None = None,
    row: int | None = None,
) -> Press:
    """A button; one that was `used`, or `remixed` with other words, shows it by its colour."""
    if used or remixed:
        style = colour(used=used, remixed=remixed)
    return Press(
        discord.ui.Button(
            custom_id=str(CustomId(verb, id_, n, text)),
            label=label,
            emoji=emoji,
            style=style,
            disabled=disabled,
            row=row,
        )
    )


def colour(*, used: bool, remixed: bool) -> discord.ButtonStyle:
    """Gray as long as a button was not used, blue afterwards, green where it was with other words."""
    if remixed:
        return discord.ButtonStyle.success
    return discord.ButtonStyle.primary if used else discord.ButtonStyle.secondary
