"""A form that is refused gives back all that was typed and chosen in it."""

from __future__ import annotations

import discord
import pytest

from bot.components.modals import FIELDS, SUBMITS
from bot.messages import image_actions
from tests.bot.pressing import picked
from tests.bot.simulated import World, answer, fill, press

BACKTICKS = "a boat with ``` and sails"


@pytest.mark.parametrize("verb", sorted(SUBMITS))
async def test_every_form_that_is_refused_gives_back_what_was_typed(world: World, verb: str) -> None:
    """What it was opened from is gone, or its member may not: each form has such a refusal."""
    alice = world.member("alice")
    chosen: dict[str, str | list[str]] = {"where": "the sky", "places": ["1", "5"], "lasts": ["24"]}
    result = await world.submit(alice, f"e1:{verb}:999:0:v", prompt="a boat with sails", **chosen)
    assert result.ephemeral
    said = answer(result).content
    assert "```\na boat with sails\n```" in said
    assert "Where, in words: `the sky`" in said
    assert "Places to draw anew: Top left and Middle" in said
    assert "1 day" in said


async def test_an_empty_region_gives_back_its_words(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    said = answer(await fill(alice, opened, prompt="a boat with sails", where=" , ")).content
    assert said.startswith(image_actions.no_region(finds=True))
    assert said.endswith("```\na boat with sails\n```")


async def test_a_wrong_flag_beside_a_region_costs_neither_words_nor_places(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    typed = {"prompt": "a boat --stilyze 4", "where": "the sky", "places": ["9"]}
    said = answer(await fill(alice, opened, **typed)).content
    assert "Where, in words: `the sky`" in said
    assert "Places to draw anew: Bottom right" in said
    assert said.count("a boat --stilyze 4") == 1


async def test_what_fits_no_message_comes_as_a_file(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    refused = await fill(alice, opened, prompt=f"{BACKTICKS} --stilyze 4", where="the sky", places=["9"])
    (file,) = answer(refused).attachments
    given = (await file.read()).decode()
    assert given.splitlines()[0] == f"{BACKTICKS} --stilyze 4"
    assert "the sky" in given
    assert "Bottom right" in given


async def test_every_field_below_a_forms_text_is_given_back(world: World) -> None:
    alice = world.member("alice", moderate_members=True)
    bob = world.member("bob")
    _, single = await picked(world, alice)
    world.allow_menu("Ban from Easel", alice)
    region = await press(alice, single, "Vary (Region)")
    ban = await alice.context_menu(world.channel, "Ban from Easel", bob)
    fields = [label["component"] for form in (region, ban) for label in (form.modal or {})["components"]]
    uploads = discord.ComponentType.file_upload.value
    assert {each["custom_id"] for each in fields if each["type"] != uploads} - {"prompt"} == FIELDS.keys()
