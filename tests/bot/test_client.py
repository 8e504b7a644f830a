"""The client itself: how its commands reach Discord, and that nobody ever waits in silence."""

from __future__ import annotations

import json
from typing import Any

import discord
import pytest
from discord import app_commands

from bot import commands
from bot.client import EaselBot
from bot.components import press
from tests.bot.simulated import World, answer
from tests.bot.simulated import press as press_button


def syncs(world: World) -> int:
    return sum(request.method == "PUT" for request in world.env.http_requests)


async def test_commands_are_sent_only_when_they_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert syncs(world) == 1
    await world.restart_bot()
    assert syncs(world) == 1
    monkeypatch.setattr(commands, "ALL", commands.ALL[:-1])
    await world.restart_bot()
    assert syncs(world) == 2


async def test_commands_are_sent_where_another_program_replaced_them(world: World) -> None:
    world.env.backend.register_commands(None, [{"name": "other", "description": "Another bot's", "type": 1}])
    await world.restart_bot()
    assert syncs(world) == 2
    alice = world.member("alice")
    assert "imagine" in alice.available_commands(world.channel)


PLAIN = {
    *("imagine", "describe", "blend", "shorten", "show", "history", "favorites", "queue", "info", "help"),
    *("models", "settings", "fast", "relax", "turbo", "stealth", "public"),
    *("privacy export", "privacy delete"),
    *("prefer option set", "prefer option list", "prefer suffix", "prefer remix", "prefer variability"),
    "prefer auto_dm",
}
STAFF = {
    *("mod ban", "mod unban", "mod queue", "mod pause", "mod resume", "mod cancel", "mod audit"),
    "mod models",
    *("mod reports", "mod restore", "mod words list", "mod words add", "mod words remove"),
}


async def test_members_see_their_commands_and_moderators_theirs(world: World) -> None:
    alice, mod = world.member("alice"), world.member("mod", manage_messages=True)
    assert set(alice.available_commands(world.channel)) == PLAIN
    assert set(mod.available_commands(world.channel)) == PLAIN | STAFF
    assert set(alice.user.available_commands()) == PLAIN


async def test_what_discord_is_told_is_within_its_limits(world: World) -> None:
    payload = [command.to_dict(world.bot.tree) for command in world.bot.tree.get_commands()]
    slash = [command for command in payload if command["type"] == 1]
    assert len(slash) <= 100
    for command in payload:
        assert len(json.dumps(command, ensure_ascii=False)) <= 8000
    for menu in (2, 3):
        assert len([command for command in payload if command["type"] == menu]) <= 5
    everywhere = {command["name"] for command in slash if command["contexts"] == [0, 1, 2]}
    assert everywhere == {name.split()[0] for name in PLAIN}
    (mod,) = [command for command in payload if command["name"] == "mod"]
    assert mod["contexts"] == [0]
    assert mod["default_member_permissions"] == discord.Permissions(manage_messages=True).value


def test_asks_for_no_privileged_intent_and_pings_nobody(world: World) -> None:
    intents = world.bot.intents
    assert intents.guilds
    assert [intents.members, intents.presences, intents.message_content] == [False, False, False]
    allowed = world.bot.allowed_mentions
    assert allowed is not None
    assert [allowed.everyone, allowed.users, allowed.roles, allowed.replied_user] == [False] * 4


async def test_a_fault_in_a_button_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setitem(press.HANDLERS, "v", broken)
    alice = world.member("alice")
    result = await press_button(alice, world.post_component("e1:v:1:1"), "v")
    assert result.ephemeral
    assert "something went wrong" in answer(result).content
    assert "secret" not in answer(result).content


async def test_a_command_that_discord_remembers_from_before_is_answered(world: World) -> None:
    alice = world.member("alice")
    world.bot.tree.remove_command("show")
    result = await alice.slash(world.channel, "show", job_id=1)
    assert result.ephemeral
    assert "reload Discord" in answer(result).content
    assert [type(error) for error in world.env.errors] == [app_commands.CommandNotFound]
    world.forgive()


async def test_closes_before_it_ever_connected(world: World) -> None:
    bot = EaselBot(world.backends)
    await bot.close()
    assert bot.is_closed()
