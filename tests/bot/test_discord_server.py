"""The loopback Discord itself: it must refuse what Discord refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import discord
import pytest
from discord import app_commands

from tests.bot.discord_server import Channel, DiscordServer, User
from tests.bot.discord_server.running import Running

DOUBLE = {"type": 2, "style": 1, "label": "U1", "custom_id": "a"}


class Echo(discord.Client):
    """Answers `/say`."""

    def __init__(self) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=0.05,
        )
        self.tree = app_commands.CommandTree(self)

        @self.tree.command(description="Say it back.")
        async def say(interaction: discord.Interaction[Any], words: str) -> None:
            await interaction.response.send_message(words)

    async def setup_hook(self) -> None:
        await self.tree.sync()


@pytest.fixture
def member() -> User:
    return User("ada")


@pytest.fixture
def channel(discord_server: DiscordServer, member: User) -> Channel:
    return discord_server.guild("studio", member).channel("pictures")


@pytest.fixture
def echo(discord_server: DiscordServer, channel: Channel) -> Iterator[Running[Echo]]:
    running = Running(Echo, discord_server.token).start()
    yield running
    running.stop()


def test_a_command_is_answered(
    discord_server: DiscordServer, echo: Running[Echo], channel: Channel, member: User
) -> None:
    interaction = discord_server.slash(member, channel, "say", words="hello @everyone")
    message = discord_server.wait_for(lambda: interaction.original)
    assert message.content == "hello @everyone"
    assert message.pinged == frozenset()
    assert interaction.took < 1


def test_a_lost_connection_is_resumed_and_nothing_is_missed(
    discord_server: DiscordServer, echo: Running[Echo], channel: Channel, member: User
) -> None:
    discord_server.drop_gateway()
    interaction = discord_server.slash(member, channel, "say", words="still there?")
    assert discord_server.wait_for(lambda: interaction.original).content == "still there?"
    assert (discord_server.gateway.identified, discord_server.gateway.resumed) == (1, 1)


def test_a_late_answer_is_refused(
    discord_server: DiscordServer, echo: Running[Echo], channel: Channel, member: User
) -> None:
    interaction = discord_server.slash(member, channel, "nothing-answers-this")
    interaction.created = time.time() - 3.1
    webhook = discord.Webhook.partial(1, interaction.token, client=echo.client)
    with pytest.raises(discord.NotFound):
        echo.call(webhook.send("too late", wait=True))


def test_a_nonce_makes_one_message(
    discord_server: DiscordServer, echo: Running[Echo], channel: Channel
) -> None:
    target = echo.client.get_partial_messageable(channel.id)

    async def send() -> discord.Message:
        return await target.send("once", nonce="easel:7")

    assert echo.call(send()).id == echo.call(send()).id
    assert len(channel.shown()) == 1
    channel.nonce_memory_s = 0
    echo.call(send())
    assert len(channel.shown()) == 2


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"content": "x" * 2001}, "content of 2001"),
        ({"content": "hello <@1>"}, "mentions without allowed_mentions"),
        ({"content": "x", "nonce": "n" * 26}, "nonce"),
        ({"content": 7}, "$.content"),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, "exclude"),
        ({"content": "x", "components": [{"type": 1, "components": []}]}, "$.components"),
        (
            {
                "components": [
                    {"type": 1, "components": [{"type": 2, "style": 1, "label": "U1", "custom_id": "a"}] * 2}
                ]
            },
            "custom_id a 2 times",
        ),
    ],
)
def test_a_wrong_message_is_refused_and_remembered(
    discord_server: DiscordServer, echo: Running[Echo], channel: Channel, body: dict[str, Any], sentence: str
) -> None:
    route = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=channel.id)
    with pytest.raises(discord.HTTPException) as refused:
        echo.call(echo.client.http.request(route, json=body))
    assert refused.value.code == 50035
    assert sentence in discord_server.violations[-1]
    discord_server.calls.clear()
