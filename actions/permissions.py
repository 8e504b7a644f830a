"""Channel and permission checks, made from facts alone before GPU time is spent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from prompts.translation import N_
from storage.errors import Refused


class Permission(Enum):
    """Permissions that Easel needs in a channel, by Discord's English names."""

    VIEW_CHANNEL = N_("View Channel")
    SEND_MESSAGES = N_("Send Messages")
    SEND_MESSAGES_IN_THREADS = N_("Send Messages in Threads")
    ATTACH_FILES = N_("Attach Files")


class MissingPermissions(Refused):
    def __init__(self, missing: tuple[Permission, ...]) -> None:
        super().__init__(", ".join(permission.value for permission in missing))
        self.missing = missing


class NotAgeRestricted(Refused):
    """Without a safety check only age-restricted channels are served."""


@dataclass(frozen=True)
class Channel:
    """Channel of a command. `permissions` are Easel's own there, None where Discord tells none.

    In direct messages, and where only the member installed Easel, answers go through the interaction or to
    the member, and no permission is asked for.
    """

    guild_id: int | None = None
    thread: bool = False
    age_restricted: bool = False
    user_install: bool = False
    permissions: frozenset[Permission] | None = None


def check(place: Channel, *, safety: bool) -> None:
    """Raise MissingPermissions or NotAgeRestricted where a result could not, or must not, be posted."""
    if not safety and not place.age_restricted:
        raise NotAgeRestricted
    if place.guild_id is None or place.user_install or place.permissions is None:
        return
    send = Permission.SEND_MESSAGES_IN_THREADS if place.thread else Permission.SEND_MESSAGES
    needed = (Permission.VIEW_CHANNEL, send, Permission.ATTACH_FILES)
    missing = tuple(permission for permission in needed if permission not in place.permissions)
    if missing:
        raise MissingPermissions(missing)
