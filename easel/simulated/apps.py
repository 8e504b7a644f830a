"""Message menus and reactions, which a right click offers on Discord, as a list below each message.

The list is only on the page: the message that the bot knows has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simcord.actors import MemberActor, _dispatch_actor_interaction
from simcord.backend import serializers
from simcord.backend.models import Message
from simcord.backend.models.message import EPHEMERAL_FLAG
from simcord.builders import ChannelHandle, UserHandle
from simcord.enums import AppCommandType, InteractionType
from simcord.env import Env
from simcord.results import InteractionResult, ResponseMessage

Viewer = MemberActor | UserHandle

LIST_ID = 900_001
"""Above every id that Easel gives a component."""
_REACTIONS = {
    "✉️": "Easel sends you the pictures, and the movie of --video, directly",
    "❌": "Easel takes your job back",
}


def has_list(env: Env, message: Message) -> bool:
    return message.author_id == env.backend.bot_user.id and not message.flags & EPHEMERAL_FLAG


def row(env: Env, viewer: Viewer, message: Message) -> dict[str, Any]:
    """The list as a row of components, as the page draws them."""
    options = [
        {"label": name, "value": f"{kind}:{name}", "description": below}
        for kind, names, below in _menus(env, viewer, message)
        for name in names
    ]
    options += [
        {"label": f"React with {emoji}", "value": f"react:{emoji}", "description": below}
        for emoji, below in _REACTIONS.items()
    ]
    select = {
        "type": 3,
        "id": LIST_ID,
        "custom_id": "demo:apps",
        "control_key": control_key(message),
        "placeholder": "Apps and reactions …",
        "options": options,
    }
    return {"type": 1, "components": [select]}


def control_key(message: Message) -> str:
    return f"message:{message.id}:component:{LIST_ID}"


def _menus(env: Env, viewer: Viewer, message: Message) -> list[tuple[int, list[str], str]]:
    def names(kind: AppCommandType) -> list[str]:
        found = env.backend.visible_commands(user_id=viewer.id, channel_id=message.channel_id, type=kind)
        return [command["name"] for command in found]

    menus = [(int(AppCommandType.MESSAGE), names(AppCommandType.MESSAGE), "right click, Apps")]
    asker = asker_of(message)
    if asker is not None and isinstance(viewer, MemberActor):
        about = f"right click on {env.backend.get_user(asker).global_name}, Apps"
        menus.append((int(AppCommandType.USER), names(AppCommandType.USER), about))
    return menus


def asker_of(message: Message) -> int | None:
    """Id of the member who asked for what a message shows: whoever used the command, or is named in it."""
    user = (message.interaction_metadata or {}).get("user")
    if isinstance(user, Mapping):
        return int(user["id"])
    return message.mention_user_ids[0] if message.mention_user_ids else None


async def choose(env: Env, viewer: Viewer, message: Message, value: str) -> InteractionResult | None:
    """Do what an entry stands for, as this viewer; None where nothing answers by itself."""
    kind, _, name = value.partition(":")
    if kind == "react":
        shown = ResponseMessage(env, message)
        reaction = message.reaction_for(name)
        if reaction is not None and viewer.id in reaction.user_ids:
            await viewer.set_reaction(shown, name, reacted=False)
        await viewer.set_reaction(shown, name, reacted=True)
        return None
    guild = viewer.guild if isinstance(viewer, MemberActor) else None
    channel = ChannelHandle(env, guild, env.backend.get_channel(message.channel_id))
    if kind == str(int(AppCommandType.USER)):
        assert isinstance(viewer, MemberActor)
        asker = asker_of(message)
        assert asker is not None
        target = MemberActor(env, viewer.guild, UserHandle(env, env.backend.get_user(asker)))
        return await viewer.context_menu(channel, name, target)
    command = env.backend.find_command(name, guild.id if guild else None, type=AppCommandType.MESSAGE)
    assert command is not None
    data = {
        "id": command["id"],
        "name": name,
        "type": AppCommandType.MESSAGE,
        "target_id": str(message.id),
        "resolved": {"messages": {str(message.id): dict(serializers.message_payload(env.backend, message))}},
    }
    return await _dispatch_actor_interaction(viewer, InteractionType.APPLICATION_COMMAND, channel, data)
