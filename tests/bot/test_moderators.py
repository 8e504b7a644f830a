"""Who moderates what: the whole server by its roles, one channel's jobs by the channel's own rules."""

from __future__ import annotations

from typing import Any

import discord
import pytest
from sqlalchemy import select

from bot.messages import image_actions, panels, refusals
from storage.contract import JobState
from storage.tables import AuditEntry, Guild, Job, Takedown
from tests.bot import drawing
from tests.bot.pressing import drawn, picked
from tests.bot.simulated import Member, World, answer, labels, press, texts, use


def moderates_one(world: World, name: str = "mod") -> tuple[Member, Any]:
    """A member who manages messages in one channel alone, by its overwrites; and the channel."""
    member = world.member(name)
    may = discord.PermissionOverwrite(manage_messages=True)
    return member, world.guild.create_text_channel("theirs", overwrites={member: may})


COMMANDS: dict[str, dict[str, Any]] = {
    "mod pause": {},
    "mod resume": {},
    "mod queue": {},
    "mod reports": {},
    "mod audit": {},
    "mod models": {},
    "mod cancel": {"job_id": 1},
    "mod restore": {"job_id": 1},
    "mod words list": {},
    "mod words add": {"word": "castle"},
    "mod words remove": {"word": "castle"},
}
PANELS = (
    "e1:mo:0",
    "e1:mf:0",
    "e1:md:0",
    "e1:mp:0",
    "e1:rw:1",
    "e1:rd:1",
    "e1:rn:0",
    "e1:mn:0",
    "e1:cm:1",
    "e1:bm:1",
    "e1:mb:0:5",
)


async def test_a_channels_moderator_does_nothing_for_the_server(world: World) -> None:
    alice, (mod, channel) = world.member("alice"), moderates_one(world)
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    world.allow_command("mod", mod)
    for name, options in COMMANDS.items():
        assert answer(await mod.slash(channel, name, **options)).content == refusals.not_moderator(), name
    banned = await mod.slash(channel, "mod ban", user=alice.user)
    assert answer(banned).content == refusals.not_moderator()
    for custom_id in PANELS:
        left = world.post_component(custom_id)
        assert answer(await use(mod, left, custom_id)).content in (
            refusals.not_moderator(),
            refusals.not_yours(),
        ), custom_id
    form = await world.submit(mod, f"e1:fb:{alice.id}", prompt="why", lasts=[])
    assert answer(form).content.startswith(refusals.not_moderator())
    with world.backends.database.reading() as session:
        assert session.scalars(select(AuditEntry)).all() == []
        assert [guild.paused_at for guild in session.scalars(select(Guild))] == [None]
        assert session.scalars(select(Job.state)).all() == [JobState.QUEUED]


async def test_a_channels_moderator_stops_what_was_asked_for_there(world: World) -> None:
    alice, (mod, channel) = world.member("alice"), moderates_one(world)
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    await alice.slash(channel, "imagine", prompt="a blue castle")
    elsewhere, here = world.messages()[-1], world.messages(channel)[-1]
    assert answer(await press(mod, elsewhere, "Cancel Job")).content == refusals.not_yours()
    stopped = await mod.context_menu(world.channel, "Cancel Job", elsewhere)
    assert answer(stopped).content == refusals.not_yours()
    await press(mod, here, "Cancel Job")
    with world.backends.database.reading() as session:
        states = session.scalars(select(Job.state).order_by(Job.id)).all()
    assert states == [JobState.QUEUED, JobState.CANCELLED]


async def test_a_servers_moderator_moderates_where_a_channel_takes_it_away(world: World) -> None:
    mod = world.member("mod", manage_messages=True)
    may_not = discord.PermissionOverwrite(manage_messages=False)
    channel = world.guild.create_text_channel("quiet", overwrites={mod: may_not})
    world.allow_command("mod", mod)
    assert answer(await mod.slash(channel, "mod pause")).content == panels.paused()


@pytest.mark.parametrize("permission", ["manage_messages", "moderate_members", "administrator"])
async def test_which_permissions_make_a_moderator(world: World, permission: str) -> None:
    mod = world.member("mod", **{permission: True})
    world.allow_command("mod", mod)
    assert answer(await mod.slash(world.channel, "mod resume")).content == panels.resumed()


async def test_a_moderators_bin_takes_the_picture_out_of_the_server_alone(world: World) -> None:
    alice, mod = world.member("alice"), world.member("mod", manage_messages=True)
    grid, single = await picked(world, alice)
    asked = await press(mod, single, "🗑️")
    assert answer(asked).content == image_actions.really_take_down()
    await press(mod, answer(asked), "Delete")
    left = [message.id for message in world.messages()]
    assert grid.id not in left, "the grid shows it too"
    assert single.id not in left
    with world.backends.database.reading() as session:
        taken = session.scalars(select(Takedown)).one()
        assert (taken.guild_id, taken.job_id) == (world.guild.id, 1)
        assert session.scalars(select(AuditEntry.action)).all() == ["take_down"]
    assert len(drawing.images(world.backends, 1)) == 4
    assert "red castle" in texts(answer(await alice.slash(world.channel, "history")))


async def test_a_channels_moderator_takes_nothing_out_of_the_server(world: World) -> None:
    alice, (mod, channel) = world.member("alice"), moderates_one(world)
    await alice.slash(channel, "imagine", prompt="a red castle")
    drawing.draw(world.backends)
    grid = await world.picture(channel=channel)
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id, channel=channel)
    assert answer(await press(mod, single, "🗑️")).content == refusals.not_yours()
    assert "🗑️" in labels(single)


async def test_a_moderators_own_picture_is_deleted_for_good(world: World) -> None:
    mod = world.member("mod", manage_messages=True)
    grid = await drawn(world, mod)
    await press(mod, grid, "U1")
    single = await world.picture(after=grid.id)
    asked = answer(await press(mod, single, "🗑️"))
    assert asked.content == image_actions.really_delete()
    await press(mod, asked, "Delete")
    assert len(drawing.images(world.backends, 1)) == 3
