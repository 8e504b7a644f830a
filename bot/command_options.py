"""A command's options as they arrive: discord.py passes on what Discord did not resolve, and any number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from discord import AppCommandOptionType as Kind
from discord import app_commands

LARGEST = 2**53
"""Largest value of an integer option, by Discord's own rule."""
_RESOLVED = {
    Kind.attachment.value: "attachments",
    Kind.user.value: "users",
    Kind.channel.value: "channels",
    Kind.role.value: "roles",
}


class NotAccepted(app_commands.AppCommandError):
    """An option's value that no form of Discord's lets through; discord.py tells of its own errors alone."""

    def __init__(self, given: str) -> None:
        super().__init__(given)
        self.given = given


class NotResolved(app_commands.AppCommandError):
    """Discord names a file or a member, and does not say more."""


def check_options(data: Mapping[str, Any]) -> None:
    """Look at an interaction's options before its command sees them.

    Raises:
        NotAccepted, NotResolved
    """
    resolved = data.get("resolved", {})
    for option in _options(data):
        value, kind = option.get("value"), option["type"]
        if kind in _RESOLVED and str(value) not in resolved.get(_RESOLVED[kind], {}):
            raise NotResolved
        if kind == Kind.integer.value and isinstance(value, int) and abs(value) > LARGEST:
            raise NotAccepted(str(value)[:40])


def _options(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the options of a command, in whatever group it is."""
    for option in data.get("options", ()):
        if "options" in option:
            yield from _options(option)
        else:
            yield option
