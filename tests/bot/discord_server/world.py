"""What this Discord knows: users, guilds, channels, messages, and how each looks as JSON."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

DISCORD_EPOCH_MS = 1_420_070_400_000

VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
EMBED_LINKS = 1 << 14
ATTACH_FILES = 1 << 15
READ_MESSAGE_HISTORY = 1 << 16
MANAGE_MESSAGES = 1 << 13
MODERATE_MEMBERS = 1 << 40
USE_APPLICATION_COMMANDS = 1 << 31
SEND_IN_THREADS = 1 << 38
ALL = (1 << 50) - 1
ORDINARY = (
    VIEW_CHANNEL
    | SEND_MESSAGES
    | EMBED_LINKS
    | ATTACH_FILES
    | READ_MESSAGE_HISTORY
    | USE_APPLICATION_COMMANDS
    | SEND_IN_THREADS
)

TEXT_CHANNEL, DM_CHANNEL, PUBLIC_THREAD = 0, 1, 11
VOICE, GROUP_DM, ANNOUNCEMENT, ANNOUNCEMENT_THREAD, PRIVATE_THREAD, STAGE, FORUM = 2, 3, 5, 10, 12, 13, 15
THREADS = {ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD}
EPHEMERAL, LOADING = 1 << 6, 1 << 7

_counter = itertools.count()


def snowflake(at: float | None = None) -> int:
    """An id whose time is `at` (epoch seconds), by default now."""
    milliseconds = int((time.time() if at is None else at) * 1000)
    return (milliseconds - DISCORD_EPOCH_MS) << 22 | next(_counter) & 0xFFF


def created_at(id_: int) -> float:
    return ((id_ >> 22) + DISCORD_EPOCH_MS) / 1000


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


@dataclass(eq=False)
class User:
    name: str
    id: int = field(default_factory=snowflake)
    bot: bool = False
    locale: str = "en-US"
    closed_dms: bool = False
    permissions: int = ORDINARY

    def json(self) -> Json:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": None,
            "discriminator": "0",
            "avatar": None,
            "public_flags": 0,
            "flags": 0,
            "bot": self.bot,
        }

    def member_json(self) -> Json:
        return {
            "user": self.json(),
            "nick": None,
            "avatar": None,
            "roles": [],
            "joined_at": iso(created_at(self.id)),
            "deaf": False,
            "mute": False,
            "flags": 0,
            "permissions": str(self.permissions),
        }


@dataclass(eq=False)
class Channel:
    name: str
    type: int = TEXT_CHANNEL
    guild: Guild | None = None
    parent: Channel | None = None
    recipient: User | None = None
    people: list[User] = field(default_factory=list)
    """Who talks in a group of direct messages, where no bot can be."""
    archived: bool = False
    locked: bool = False
    """Only moderators may post in the thread, or open it again."""
    joined: bool = True
    """Whether the bot is in the private thread."""
    id: int = field(default_factory=snowflake)
    bot_permissions: int = ORDINARY
    upload_limit: int = 10 * 2**20
    nonce_memory_s: float = 120.0
    """For how long a nonce is remembered ("a few minutes")."""
    messages: dict[int, Message] = field(default_factory=dict)

    def json(self) -> Json:
        if self.recipient is not None:
            return {"id": str(self.id), "type": self.type, "recipients": [self.recipient.json()]}
        if self.type == GROUP_DM:
            people = [person.json() for person in self.people]
            owner = str(self.people[0].id)
            return {"id": str(self.id), "type": self.type, "recipients": people, "owner_id": owner}
        sounds = {"bitrate": 64000, "user_limit": 0} if self.type in (VOICE, STAGE) else {}
        return {
            "id": str(self.id),
            "type": self.type,
            "name": self.name,
            "guild_id": str(self.guild.id) if self.guild else None,
            "position": 0,
            "permission_overwrites": [],
            "nsfw": False,
            "topic": None,
            "parent_id": str(self.parent.id) if self.parent else None,
            "rate_limit_per_user": 0,
            "flags": 0,
            **sounds,
            **(self._thread_json() if self.type in THREADS else {}),
        }

    def _thread_json(self) -> Json:
        metadata = {
            "archived": self.archived,
            "auto_archive_duration": 1440,
            "archive_timestamp": iso(created_at(self.id)),
            "locked": self.locked,
        }
        return {"thread_metadata": metadata, "owner_id": "1", "message_count": 0, "member_count": 1}

    def shown(self) -> list[Message]:
        """Messages that anyone can see, oldest first."""
        return [message for _, message in sorted(self.messages.items()) if not message.ephemeral]


@dataclass(eq=False)
class Guild:
    name: str
    id: int = field(default_factory=snowflake)
    members: list[User] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    has_bot: bool = True
    """False: the application is there only through a member who installed it."""

    def channel(self, name: str, **options: Any) -> Channel:
        channel = Channel(name, guild=self, **options)
        self.channels.append(channel)
        return channel

    def json(self, bot: User) -> Json:
        everyone = {
            "id": str(self.id),
            "name": "@everyone",
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "position": 0,
            "permissions": str(ORDINARY),
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "owner_id": str(self.members[0].id if self.members else bot.id),
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "premium_tier": 0,
            "nsfw_level": 0,
            "system_channel_flags": 0,
            "features": [],
            "emojis": [],
            "stickers": [],
            "roles": [everyone],
            "preferred_locale": "en-US",
            "member_count": len(self.members) + 1,
            "members": [bot.member_json()],
            "channels": [channel.json() for channel in self.channels if channel.type not in THREADS],
            "threads": [channel.json() for channel in self.channels if channel.type in THREADS],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
            "large": False,
            "unavailable": False,
            "joined_at": iso(created_at(self.id)),
        }


@dataclass(frozen=True)
class Upload:
    field: str
    filename: str
    data: bytes


@dataclass(frozen=True)
class File:
    id: int
    filename: str
    data: bytes

    def json(self) -> Json:
        address = f"https://cdn.invalid/{self.id}/{self.filename}"
        return {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.data),
            "url": address,
            "proxy_url": address,
        }


@dataclass(frozen=True)
class Version:
    """What a message said at one time."""

    at: float
    content: str
    components: list[Json]
    files: tuple[File, ...]


@dataclass(eq=False)
class Message:
    channel: Channel
    author: User
    content: str = ""
    components: list[Json] = field(default_factory=list)
    files: tuple[File, ...] = ()
    embeds: list[Json] = field(default_factory=list)
    pinged: frozenset[int | str] = frozenset()
    """Who was notified when it was posted: ids, "everyone", "role:<id>". Edits notify nobody."""
    reference: int | None = None
    nonce: str | None = None
    flags: int = 0
    id: int = field(default_factory=snowflake)
    created: float = field(default_factory=time.time)
    interaction: Any = None
    versions: list[Version] = field(default_factory=list)
    edited: float | None = None

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def buttons(self) -> list[Json]:
        return [item for row in self.components for item in row.get("components", []) if item["type"] == 2]

    def button(self, label_or_emoji: str) -> str:
        """The custom_id of the button that shows this."""
        for button in self.buttons:
            if label_or_emoji in (button.get("label"), (button.get("emoji") or {}).get("name")):
                return str(button["custom_id"])
        raise AssertionError(f"no button {label_or_emoji!r} under {self.content!r}: {self.buttons}")

    def remember(self) -> None:
        self.versions.append(Version(time.time(), self.content, self.components, self.files))

    def json(self) -> Json:
        mentioned = {int(id_) for id_ in re.findall(r"<@!?(\d+)>", self.content)}
        guild = self.channel.guild
        people = [user for user in (guild.members if guild else []) if user.id in mentioned]
        return {
            "id": str(self.id),
            "type": 19 if self.reference else 20 if self.interaction else 0,
            "channel_id": str(self.channel.id),
            "author": self.author.json(),
            "content": self.content,
            "timestamp": iso(self.created),
            "edited_timestamp": iso(self.edited) if self.edited else None,
            "tts": False,
            "mention_everyone": "everyone" in self.pinged,
            "mentions": [user.json() for user in people],
            "mention_roles": [],
            "attachments": [file.json() for file in self.files],
            "embeds": self.embeds,
            "components": self.components,
            "pinned": False,
            "flags": self.flags,
            **({"nonce": self.nonce} if self.nonce is not None else {}),
            **({"message_reference": self._reference_json()} if self.reference else {}),
        }

    def _reference_json(self) -> Json:
        return {"type": 0, "channel_id": str(self.channel.id), "message_id": str(self.reference)}


def notified(content: str, allowed: Json | None) -> frozenset[int | str]:
    """Whom Discord notifies of a new message with this content and `allowed_mentions`."""
    rules: Json = {"parse": ["users", "roles", "everyone"]} if allowed is None else allowed
    parse = rules.get("parse") or []
    found: set[int | str] = set()
    users = {int(id_) for id_ in re.findall(r"(?<!\\)<@!?(\d+)>", content)}
    found |= users if "users" in parse else users & {int(id_) for id_ in rules.get("users") or []}
    roles = set(re.findall(r"(?<!\\)<@&(\d+)>", content))
    allowed_roles = roles if "roles" in parse else roles & {str(id_) for id_ in rules.get("roles") or []}
    found |= {f"role:{id_}" for id_ in allowed_roles}
    if "everyone" in parse and re.search(r"@(everyone|here)", content):
        found.add("everyone")
    return frozenset(found)
