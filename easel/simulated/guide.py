"""A guide that greets in the demo's channel, and answers what no bot on Discord would hear."""

from __future__ import annotations

from typing import Any

from simcord.backend.models import Message
from simcord.backend.models.message import EPHEMERAL_FLAG
from simcord.builders import ChannelHandle
from simcord.env import Env

TRY = "demo:try"
"""Beginning of the `custom_id` of a button whose label is a prompt to draw."""
PROMPTS = (
    "a red castle on green hills at night --ar 3:2",
    "a blue boat on the sea at sunset --ar 16:9",
    "a white rabbit in a forest in winter",
)
_GREETING = (
    "**Welcome to Easel's demo.** Press one of these prompts, or type `/imagine` and what to draw:\n"
    "`/imagine a red castle on green hills at night --ar 3:2`\n"
    "`/help` explains the rest. *Apps and reactions* below a message stands for a right click on it.\n"
    "The list at the top lets you be somebody else, or read somebody's direct messages."
)
_COMMANDS_ONLY = (
    "Easel hears commands alone, as every bot on Discord. To have this drawn, type `/imagine {line}`."
)


class Guide:
    """A bot beside Easel that knows the demo."""

    def __init__(self, env: Env, user_id: int) -> None:
        self._env = env
        self._user_id = user_id

    def greet(self, channel: ChannelHandle) -> None:
        """Say once what can be done here, with prompts to press."""
        if any(said.author_id == self._user_id for said in self._env.backend.messages[channel.id].values()):
            return
        row = {
            "type": 1,
            "components": [
                {"type": 2, "style": 1, "label": prompt, "custom_id": f"{TRY}:{number}"}
                for number, prompt in enumerate(PROMPTS)
            ],
        }
        # Not told to Easel: it would not hear of another bot's messages on Discord either.
        self._env.backend.create_message(
            channel.id, self._user_id, _GREETING, components=[row], broadcast=False
        )

    def whisper(self, channel_id: int, member_id: int, sentence: str) -> Message:
        """Tell one member something that only they see."""
        for_them: dict[str, Any] = {"user": {"id": str(member_id)}}
        return self._env.backend.create_message(
            channel_id,
            self._user_id,
            sentence,
            flags=EPHEMERAL_FLAG,
            interaction_metadata=for_them,
            broadcast=False,
        )

    def commands_only(self, line: str) -> str:
        """The answer to words without a command."""
        return _COMMANDS_ONLY.format(line=" ".join(line.replace("`", "'").split())[:1500])
