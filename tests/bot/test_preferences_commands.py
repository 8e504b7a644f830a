"""What members choose once for all of their commands: `/settings`, `/prefer`, speed and visibility."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from bot import messages
from bot.components import settings as panels
from bot.messages import preferences
from prompts import markdown
from storage import members
from storage.contract import Speed
from storage.tables import Job
from tests.bot.simulated import Member, World, answer, buttons, press, texts
from tests.prompts.catalogs import catalog

GREEN = 3
USUAL = ["High Variation Mode", "Public mode", "Fast mode"]


def stored(world: World, member: Member) -> dict[str, Any]:
    with world.backends.database.reading() as session:
        return members.settings_of(session, member.id)


def last_job(world: World) -> Job:
    with world.backends.database.reading() as session:
        return session.query(Job).order_by(Job.id.desc()).limit(1).one()


def on(message: Any) -> list[str]:
    return [part["label"] for part in buttons(message) if part["style"] == GREEN]


async def said(world: World, member: Member, command: str, **options: str) -> str:
    result = await member.slash(world.channel, command, **options)
    assert result.ephemeral
    return str(answer(result).content)


async def shown(world: World, member: Member) -> Any:
    result = await member.slash(world.channel, "settings")
    assert result.ephemeral
    return answer(result)


async def test_the_panel_shows_what_holds_where_nothing_was_chosen(world: World) -> None:
    panel = await shown(world, world.member("alice"))
    assert on(panel) == USUAL
    assert "**Current suffix:** none" in texts(panel)
    (reset,) = [part for part in buttons(panel) if part["label"] == "Reset Settings"]
    assert reset["disabled"]


@pytest.mark.parametrize(
    ("label", "key", "value", "green"),
    [
        ("Raw Mode", "raw", True, ["Raw Mode", *USUAL]),
        ("Remix mode", "remix", True, ["Remix mode", *USUAL]),
        ("Low Variation Mode", "variability", "low", ["Low Variation Mode", "Public mode", "Fast mode"]),
        ("Stealth mode", "stealth", True, ["High Variation Mode", "Stealth mode", "Fast mode"]),
        ("Auto DM", "auto_dm", True, ["High Variation Mode", "Public mode", "Auto DM", "Fast mode"]),
        ("Turbo mode", "speed", "turbo", ["High Variation Mode", "Public mode", "Turbo mode"]),
        ("Relax mode", "speed", "relax", ["High Variation Mode", "Public mode", "Relax mode"]),
    ],
)
async def test_a_mode_is_turned_on_and_off(
    world: World, label: str, key: str, value: bool | str, green: list[str]
) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    panel = await shown(world, alice)
    await press(alice, panel, label)
    assert on(panel) == green
    assert stored(world, alice) == {key: value}
    contrary = {"variability": "High Variation Mode", "stealth": "Public mode", "speed": "Fast mode"}
    await press(alice, panel, contrary.get(key, label))
    assert on(panel) == USUAL
    assert stored(world, alice) == {}
    assert stored(world, bob) == {}


async def test_what_is_on_already_stays_on(world: World) -> None:
    """A second panel shows an older state; its buttons do what they said when it was shown."""
    alice = world.member("alice")
    old, panel = await shown(world, alice), await shown(world, alice)
    await press(alice, panel, "Remix mode")
    await press(alice, old, "Remix mode")
    await press(alice, panel, "Fast mode")
    assert stored(world, alice) == {"remix": True}


async def test_reset_clears_everything(world: World) -> None:
    alice = world.member("alice")
    await said(world, alice, "prefer suffix", new_value="--no trees")
    await said(world, alice, "prefer option set", option="mine", value="--ar 3:2")
    await said(world, alice, "relax")
    panel = await shown(world, alice)
    await press(alice, panel, "3:2")
    assert len(stored(world, alice)) == 4
    await press(alice, panel, "Reset Settings")
    assert stored(world, alice) == {}
    assert on(panel) == USUAL
    assert "none" in texts(panel)


async def test_the_panel_shows_suffix_and_options(world: World) -> None:
    alice = world.member("alice")
    await said(world, alice, "prefer suffix", new_value="--no trees, *stars*")
    await said(world, alice, "prefer option set", option="mine", value="--ar 3:2")
    panel = texts(await shown(world, alice))
    assert "**Current suffix:** --no trees, \\*stars\\*" in panel
    assert "**Your own options:** 1" in panel


def test_the_panel_fits_a_message_with_all_that_there_can_be() -> None:
    most = {
        "model": "dream_xl",
        "ratio": "16:9",
        "stylize": 750,
        "raw": True,
        "remix": True,
        "variability": "low",
        "stealth": True,
        "auto_dm": True,
        "speed": "turbo",
        "suffix": "--no " + "*" * 900,
        "options": {f"o{number}": "x" for number in range(20)},
    }
    view = panels.settings(most, catalog())
    parts = list(view.walk_children())
    assert len(parts) <= 40
    said = [part.content for part in parts if isinstance(part, discord.ui.TextDisplay)]
    assert sum(map(markdown.length, said)) <= 4000
    ids = [part.item.custom_id for part in parts if isinstance(part, discord.ui.DynamicItem)]
    assert len(set(ids)) == len(ids) > 15
    assert max(map(len, ids)) <= 100


async def test_a_forged_mode_is_refused(world: World) -> None:
    alice = world.member("alice")
    result = await press(alice, world.post_component("e1:sp:0:1:admin"), "sp")
    assert "another version" in answer(result).content
    assert stored(world, alice) == {}


@pytest.mark.parametrize("speed", list(Speed))
async def test_speed_commands_set_one_setting_that_jobs_follow(world: World, speed: Speed) -> None:
    alice = world.member("alice")
    await said(world, alice, "turbo" if speed is Speed.RELAX else "relax")
    assert (await said(world, alice, speed.value)).startswith("Done.")
    assert stored(world, alice) == ({} if speed is Speed.FAST else {"speed": speed.value})
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    job = last_job(world)
    assert (job.speed, job.priority) == (speed.value, speed.priority)
    assert speed.value not in job.text, "the mode is no part of the prompt"


async def test_a_flag_beats_the_speed_that_was_set(world: World) -> None:
    alice = world.member("alice")
    await said(world, alice, "relax")
    await alice.slash(world.channel, "imagine", prompt="a red castle --turbo")
    assert last_job(world).speed == Speed.TURBO


async def test_toggles_say_what_they_turned(world: World) -> None:
    alice = world.member("alice")
    for command, key, first, second in [
        ("prefer remix", "remix", preferences.remix_set(True), preferences.remix_set(False)),
        ("prefer auto_dm", "auto_dm", preferences.auto_dm_set(True), preferences.auto_dm_set(False)),
        (
            "prefer variability",
            "variability",
            preferences.variability_set(False),
            preferences.variability_set(True),
        ),
    ]:
        assert await said(world, alice, command) == first
        assert key in stored(world, alice)
        assert await said(world, alice, command) == second
        assert stored(world, alice) == {}


async def test_a_suffix_is_added_and_removed(world: World) -> None:
    alice = world.member("alice")
    assert "--no trees" in await said(world, alice, "prefer suffix", new_value="--no trees --ar 3:2")
    waiting = await alice.slash(world.channel, "imagine", prompt="a red castle --ar 1:1")
    assert "a red castle --ar 1:1 --no trees" in answer(waiting).content
    assert last_job(world).request["negative_prompt"] == "trees"
    assert "removed" in await said(world, alice, "prefer suffix")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert last_job(world).request["negative_prompt"] == ""


@pytest.mark.parametrize(
    "suffix", ["orange", "orange::-1", "a castle --ar 3:2", "--banana", "--ar 99:1", "--s many"]
)
async def test_a_suffix_that_is_none_is_refused(world: World, suffix: str) -> None:
    alice = world.member("alice")
    await said(world, alice, "prefer suffix", new_value="--no trees")
    refused = await said(world, alice, "prefer suffix", new_value=suffix)
    assert "Your suffix is now" not in refused
    assert "something went wrong" not in refused
    assert stored(world, alice) == {"suffix": "--no trees"}


async def test_an_option_stands_for_words_and_flags(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    assert "--mine" in await said(
        world, alice, "prefer option set", option="--Mine", value="at night --no trees"
    )
    await alice.slash(world.channel, "imagine", prompt="a red castle --mine")
    request = last_job(world).request
    assert request["prompt"] == "a red castle at night"
    assert request["negative_prompt"] == "trees"
    refused = await said(world, bob, "imagine", prompt="a red castle --mine")
    assert "--mine" in refused


async def test_options_are_listed_changed_and_removed(world: World) -> None:
    alice = world.member("alice")
    assert "no options" in await said(world, alice, "prefer option list")
    await said(world, alice, "prefer option set", option="mine", value="--ar 3:2")
    await said(world, alice, "prefer option set", option="dusk", value="at dusk")
    await said(world, alice, "prefer option set", option="mine", value="--ar 2:3")
    listed = await said(world, alice, "prefer option list")
    assert listed.index("`--dusk` at dusk") < listed.index("`--mine` --ar 2:3")
    assert "removed" in await said(world, alice, "prefer option set", option="--Dusk")
    assert stored(world, alice) == {"options": {"mine": "--ar 2:3"}}
    assert "no option" in await said(world, alice, "prefer option set", option="dusk")
    await said(world, alice, "prefer option set", option="mine", value="  ")
    assert stored(world, alice) == {}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ar", "--no trees"),
        ("S", "--no trees"),
        ("2fast", "--no trees"),
        ("two words", "--no trees"),
        ("mine!", "--no trees"),
        ("m" * 33, "--no trees"),
        ("mine", "--banana"),
        ("mine", "--ar 99:1"),
    ],
)
async def test_an_option_that_cannot_be_is_refused(world: World, option: str, value: str) -> None:
    alice = world.member("alice")
    refused = await said(world, alice, "prefer option set", option=option, value=value)
    assert "now stands for" not in refused
    assert "something went wrong" not in refused
    assert stored(world, alice) == {}


async def test_at_most_twenty_options(world: World) -> None:
    alice = world.member("alice")
    full = {f"o{number}": "--no trees" for number in range(20)}
    with world.backends.database.writing() as session:
        members.change_settings(session, alice.id, options=full)
    refused = await said(world, alice, "prefer option set", option="more", value="--no trees")
    assert "20" in refused
    await said(world, alice, "prefer option set", option="o3", value="--no rain")
    assert stored(world, alice)["options"] == {**full, "o3": "--no rain"}


async def test_option_names_are_offered_while_typed(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    for name in ("mine", "minimal", "dusk"):
        await said(world, alice, "prefer option set", option=name, value="--no trees")
    typed = [("", ["dusk", "mine", "minimal"]), ("--MIN", ["mine", "minimal"]), ("x", [])]
    for begun, offered in typed:
        choices = await alice.autocomplete(world.channel, "prefer option set", "option", begun)
        assert [choice["name"] for choice in choices] == offered
    assert await bob.autocomplete(world.channel, "prefer option set", "option", "") == []


def test_a_full_list_of_options_fits_a_message() -> None:
    full = {f"{number:032}": "*" * 1000 for number in range(20)}
    listed = preferences.option_list(full)
    assert markdown.length(listed) <= messages.CONTENT
    assert "more" in listed
