"""Messages of the demo's channels, and the files in them, kept from one start to the next."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from simcord.backend.models import Message
from simcord.backend.models.message import EPHEMERAL_FLAG
from simcord.builders import ChannelHandle
from simcord.env import Env

from storage.private_files import make_private_folder

log = logging.getLogger(__name__)

_messages = TypeAdapter(list[Message])


def keep(env: Env, channels: Sequence[ChannelHandle], folder: Path) -> None:
    """Write down what stands in these channels for longer than a moment.

    Raises:
        OSError: the disk takes no more; what was kept before is as it was.
    """
    kept = [
        message
        for channel in channels
        for message in env.backend.messages[channel.id].values()
        if not message.flags & EPHEMERAL_FLAG
    ]
    files = folder / "attachments"
    make_private_folder(files)
    wanted = set()
    for message in kept:
        for attachment in message.attachments:
            wanted.add(attachment["id"])
            file, data = files / attachment["id"], env.backend.cdn.get(attachment["url"])
            if data is not None and not file.exists():
                _write(file, data)
    _write(folder / "channel.json", _messages.dump_json(kept))
    for file in files.iterdir():
        if file.name not in wanted:
            file.unlink()


def _write(file: Path, data: bytes) -> None:
    """All of it or nothing: the disk may have no room for the rest."""
    new = file.with_name(f"{file.name}.new")
    try:
        new.write_bytes(data)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def restore(env: Env, folder: Path) -> None:
    """Put back what was kept, with its files."""
    try:
        messages = _messages.validate_json((folder / "channel.json").read_bytes())
    except FileNotFoundError:
        return
    except ValidationError:
        log.warning("the demo's channel was kept by another version of SimCord; it starts empty")
        return
    for message in messages:
        for attachment in message.attachments:
            file = folder / "attachments" / attachment["id"]
            if file.exists():
                env.backend.cdn.store_attachment(
                    int(attachment["id"]), message.channel_id, attachment["filename"], file.read_bytes(), None
                )
        env.backend.messages[message.channel_id][message.id] = message
        env.backend.channels[message.channel_id].last_message_id = message.id
