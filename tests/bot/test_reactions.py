"""✉️ and ❌: what members do without a command."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from bot import reactions
from storage import attempts, moderation
from storage.contract import JobState
from storage.tables import Job
from tests.bot import drawing
from tests.bot.simulated import World, press


def _job(world: World, job_id: int = 1) -> Job:
    with world.backends.database.reading() as session:
        return session.get_one(Job, job_id)


async def _grid(world: World, member: Any) -> discord.Message:
    await member.slash(world.channel, "imagine", prompt="a red castle")
    drawing.draw(world.backends)
    return await world.picture()


def _gone(world: World, message: discord.Message) -> bool:
    return message.id not in [other.id for other in world.messages()]


async def test_the_client_asks_for_no_privileged_intent(world: World) -> None:
    intents = world.bot.intents
    assert intents.guild_reactions
    assert intents.dm_reactions
    assert not any((intents.message_content, intents.members, intents.presences))


@pytest.mark.parametrize("emoji", ["✉️", "✉"])
async def test_an_envelope_sends_the_pictures_home(world: World, emoji: str) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    await world.restart_bot()
    await alice.react(grid, emoji)
    (message,) = await world.until(lambda: world.messages(alice.user.dm_channel))
    assert "a red castle" in message.content
    assert "**Job ID**: 1" in message.content
    assert len(message.attachments) == 5


async def test_an_envelope_below_one_picture_sends_that_one(world: World) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    await press(alice, grid, "U2")
    single = await world.picture(after=grid.id)
    await alice.react(single, "✉️")
    (message,) = await world.until(lambda: world.messages(alice.user.dm_channel))
    assert len(message.attachments) == 1


async def test_a_cross_stops_what_is_not_finished(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    waiting = world.messages()[-1]
    await alice.react(waiting, "❌")
    await world.until(lambda: _job(world).state == JobState.CANCELLED)
    await alice.slash(world.channel, "imagine", prompt="a blue castle")
    running = drawing.claim(world.backends)
    await alice.react(world.messages()[-1], "❌")
    await world.until(lambda: _job(world, running.job_id).cancel_requested_at is not None)
    with world.backends.database.writing() as session:
        attempts.stopped(session, running.job_id, running.attempt)


async def test_a_cross_deletes_what_is_finished(world: World) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    await alice.react(grid, "❌")
    await world.until(lambda: _gone(world, grid) and _gone(world, single))
    assert drawing.images(world.backends, 1) == []
    assert not [path for path in world.backends.images.folder.rglob("*.png") if path.is_file()]


async def test_a_cross_below_one_picture_deletes_that_one(world: World) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    await alice.react(single, "❌")
    await world.until(lambda: _gone(world, single))
    assert [image.index for image in drawing.images(world.backends, 1)] == [1, 2, 3]
    assert not _gone(world, grid)


async def test_a_cross_removes_the_sentence_of_a_failed_job(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    drawing.fail(world.backends)
    await world.delivered()
    (failed,) = world.messages()
    await alice.react(failed, "❌")
    await world.until(lambda: _gone(world, failed))


async def test_others_reactions_and_others_messages_mean_nothing(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    grid = await _grid(world, alice)
    chat = await mallory.send(world.channel, "hello")
    for message in (grid, chat):
        for emoji in ("❌", "✉️"):
            await mallory.react(message, emoji)
    await alice.react(grid, "👍")
    await alice.react(chat, "❌")
    await world.env.settle()
    assert not _gone(world, grid)
    assert len(drawing.images(world.backends, 1)) == 4
    assert len(world.messages()) == 2
    assert world.messages(mallory.user.dm_channel) == []


async def test_what_fails_is_told_in_the_channel_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    for image in drawing.images(world.backends, 1):
        world.backends.images.delete(image.key)
    asked: list[float] = []

    async def noted(message: discord.Message, *, delay: float | None = None) -> None:
        asked.append(delay or 0)

    monkeypatch.setattr(discord.Message, "delete", noted)
    await alice.react(grid, "✉️")
    (told,) = await world.until(
        lambda: [message for message in world.messages() if "not in the store" in message.content]
    )
    assert told.content.startswith(alice.mention)
    assert told.reference is not None
    assert told.reference.message_id == grid.id
    assert [user.id for user in told.mentions] == [alice.id]
    await world.until(lambda: asked)
    assert asked == [reactions.TOLD_S]


async def test_why_a_banned_member_is_refused_is_nobody_elses_business(world: World) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    with world.backends.database.writing() as session:
        place = {"member_id": alice.id, "guild_id": world.guild.id}
        moderation.ban(session, **place, by=9, reason="rude words", expires_at=None)
    before = len(world.messages())
    await alice.react(grid, "✉️")
    (told,) = await world.until(lambda: world.messages(alice.user.dm_channel))
    assert "rude words" in told.content
    assert len(world.messages()) == before
