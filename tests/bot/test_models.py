"""`/mod models` and `/models`: what a server draws with, and what members see of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from sqlalchemy import select

from bot.components.history_search import model_number
from bot.messages import models as said
from prompts.markdown import length
from storage import catalog, offers, workers
from storage.tables import Job
from tests.bot import drawing, photos
from tests.bot.simulated import (
    Member,
    World,
    answer,
    button,
    components,
    interactions_with,
    press,
    texts,
    use,
)


def moderator(world: World) -> Member:
    return world.member("mod", manage_messages=True)


async def panel_of(world: World, mod: Member) -> Any:
    result = await mod.slash(world.channel, "mod models")
    assert result.ephemeral
    return answer(result)


def offered(message: Any, verb: str, page: int = 0) -> list[str]:
    """Names in one of the panel's menus; none where there is no such menu."""
    found = [part for part in components(message) if part.get("custom_id") == f"e1:{verb}:{page}"]
    return [option["value"] for part in found for option in part["options"]]


def models_asked_for(world: World) -> list[str]:
    with world.backends.database.reading() as session:
        return list(session.scalars(select(Job.model).order_by(Job.id)))


async def test_a_model_that_is_off_is_neither_offered_nor_drawn_with(world: World) -> None:
    alice, mod = world.member("alice"), moderator(world)
    await alice.slash(world.channel, "imagine", prompt="a red castle", model="other")
    panel = await panel_of(world, mod)
    assert offered(panel, "mo") == []
    assert offered(panel, "mf") == ["picturebook", "other"]
    await use(mod, panel, "e1:mf:0", "other")
    assert "**other** (`other`): off" in texts(panel)
    assert offered(panel, "mo") == ["other"]
    assert await alice.autocomplete(world.channel, "imagine", "model", "oth") == []
    refused = answer(await alice.slash(world.channel, "imagine", prompt="a red fox --model Other"))
    assert "`Other` cannot be used here now. `--model` takes one of picturebook." in refused.content
    menu = answer(await alice.slash(world.channel, "settings"))
    assert offered(menu, "sm") == ["picturebook"]
    job = drawing.draw(world.backends)
    assert job.model == "other", "what waits is drawn"
    grid = await world.picture()
    again = answer(await press(alice, grid, "🔄"))
    assert again.content == said.off("other", ("Picturebook",))
    assert models_asked_for(world) == ["other"]
    await use(mod, panel, "e1:mo:0", "other")
    assert "**other** (`other`): on" in texts(panel)
    await press(alice, grid, "🔄")
    assert models_asked_for(world) == ["other", "other"]
    audit = texts(answer(await mod.slash(world.channel, "mod audit")))
    assert "turned a model off: other" in audit
    assert "turned a model on: other" in audit


async def test_the_default_is_for_members_who_chose_none(world: World) -> None:
    alice, bob, mod = world.member("alice"), world.member("bob"), moderator(world)
    menu = answer(await bob.slash(world.channel, "settings"))
    await use(bob, menu, "e1:sm:0", "other")
    panel = await panel_of(world, mod)
    assert "(`picturebook`): on, the default" in texts(panel)
    await use(mod, panel, "e1:md:0", "other")
    assert "(`other`): on, the default" in texts(panel)
    menu = answer(await bob.slash(world.channel, "settings"))
    await use(bob, menu, "e1:sm:0", "picturebook")
    for member in (alice, bob):
        await member.slash(world.channel, "imagine", prompt="a red castle")
    await alice.slash(world.channel, "imagine", prompt="a red castle --model picturebook")
    elsewhere = world.user("carol")
    await elsewhere.slash("imagine", prompt="a red castle")
    assert models_asked_for(world) == ["other", "picturebook", "picturebook", "picturebook"]
    await use(mod, panel, "e1:mf:0", "other")
    assert "(`picturebook`): on, the default" in texts(panel), "a default that is off is none"


async def test_a_setting_that_is_off_here_is_left_out_and_said(world: World) -> None:
    alice, mod = world.member("alice"), moderator(world)
    menu = answer(await alice.slash(world.channel, "settings"))
    await use(alice, menu, "e1:sm:0", "other")
    await use(mod, await panel_of(world, mod), "e1:mf:0", "other")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert models_asked_for(world) == ["picturebook"]


async def test_the_last_model_off_is_said_and_draws_nothing(world: World) -> None:
    alice, mod = world.member("alice"), moderator(world)
    panel = await panel_of(world, mod)
    for name in ("picturebook", "other"):
        await use(mod, panel, "e1:mf:0", name)
    refused = answer(await alice.slash(world.channel, "imagine", prompt="a red castle"))
    assert refused.content == said.off("Picturebook", ())
    assert models_asked_for(world) == []


async def test_what_no_worker_can_load_is_not_offered_and_moderators_read_why(world: World) -> None:
    alice, mod = world.member("alice"), moderator(world)
    with world.backends.database.writing() as session:
        worker = workers.register(session, "tired", ["picturebook"], broken={"other": "It is cut short."})
    panel = await panel_of(world, mod)
    assert "It cannot be loaded, so it is not offered: It is cut short." in texts(panel)
    assert offered(panel, "md") == []
    assert await alice.autocomplete(world.channel, "imagine", "model", "oth") == []
    refused = answer(await alice.slash(world.channel, "imagine", prompt="a red castle --model other"))
    assert "`other` cannot be used here now." in refused.content
    with world.backends.database.writing() as session:
        workers.announce(session, worker, [], dict.fromkeys(("picturebook", "other"), "No disk."))
    await alice.slash(world.channel, "imagine", prompt="a red castle --model other")
    assert models_asked_for(world) == ["other"], "where nothing can be loaded jobs wait, or say why they fail"


async def test_panels_work_after_a_restart_and_a_changed_catalog(world: World) -> None:
    mod = moderator(world)
    panel = await panel_of(world, mod)
    file = world.config.catalog
    assert file is not None
    more = "".join(f'[models.m{n}]\nsource = "m"\nsizes = [[64, 64]]\n' for n in range(12))
    file.write_text(file.read_text() + more)
    await world.restart_bot()
    await use(mod, panel, "e1:mf:0", "other")
    assert "Page 1 of 2" in texts(panel)
    await press(mod, panel, "Next")
    assert offered(panel, "mf", 1) == ["m8", "m9", "m10", "m11"]
    await use(mod, panel, "e1:md:1", "m9")
    assert "(`m9`): on, the default" in texts(panel)
    assert button(panel, "Next")["disabled"]


@pytest.mark.parametrize("names", [1, 3, 11])
async def test_models_are_pages_that_turn(world: World, tmp_path: Path, names: int) -> None:
    alice = world.member("alice")
    (tmp_path / "sample.png").write_bytes(photos.png(colour="#123456"))
    entry = """
[models.dream]
title = "Dream"
description = "Landscapes, and people in them."
license = "CreativeML Open RAIL-M"
nsfw = true
source = "dream"
sizes = [[64, 64], [96, 64]]
sample = "sample.png"
loras.ink = { source = "ink.safetensors", trigger = "ink drawing", sample = "sample.png" }
loras.paper = { source = "paper.safetensors", sample = "gone.png" }
embeddings.moss = { source = "moss.safetensors" }
controls.edges = { source = "control", reads = "edges" }
upscalers = { soft = { source = "soft" } }
"""
    more = "".join(f'[models.m{n}]\nsource = "m"\nsizes = [[64, 64]]\n' for n in range(names - 1))
    (tmp_path / "catalog.toml").write_text(entry + more)
    await world.restart_bot()
    result = await alice.slash(world.channel, "models")
    assert result.ephemeral
    page = answer(result)
    shown = texts(page)
    for words in (
        "### Dream",
        "Landscapes, and people in them.",
        "It draws where you choose none; by name with `--model dream`.",
        "**Sizes:** 64 × 64, 96 × 64",
        "- `ink`: trigger words `ink drawing`",
        "- `paper`",
        "**Embeddings** (named in the prompt): `moss`",
        "**Controls** (`--control`): `edges`",
        "**Upscalers** (`--upscaler`): `soft`",
        "It was made for pictures of adults.",
        "Licence: CreativeML Open RAIL-M",
    ):
        assert words in shown, words
    (gallery,) = [part for part in components(page) if part.get("type") == 12]
    assert [item["description"] for item in gallery["items"]] == [said.sample("Dream"), said.sample("ink")]
    assert len(page.message.attachments) == 2
    with PIL.Image.open(io.BytesIO(await page.message.attachments[0].read())) as picture:
        assert picture.getpixel((0, 0)) == (0x12, 0x34, 0x56)
    if names == 1:
        return
    await world.restart_bot()
    await press(alice, page, "Next")
    assert "### m0" in texts(page)
    assert "Its licence is not said." in texts(page)
    assert page.message.attachments == []
    await press(alice, page, "Previous")
    assert "### Dream" in texts(page)


async def test_models_begins_with_the_one_that_is_named(world: World) -> None:
    alice = world.member("alice")
    choices = await alice.autocomplete(world.channel, "models", "model", "OTH")
    assert [choice["value"] for choice in choices] == ["other"]
    for typed, title in {"Other": "other", "picture book": "Picturebook", "nothing": "Picturebook"}.items():
        assert f"### {title}\n" in texts(answer(await alice.slash(world.channel, "models", model=typed)))


async def test_a_page_of_a_model_that_is_gone_is_the_defaults(world: World) -> None:
    alice = world.member("alice")
    left = world.post_component(f"e1:mg:{model_number('gone')}")
    await alice.click(left, custom_id=f"e1:mg:{model_number('gone')}")
    assert "### Picturebook" in texts(left)


async def test_both_speak_chinese(world: World) -> None:
    mod = moderator(world)
    with interactions_with(locale="zh-CN"):
        panel = texts(await panel_of(world, mod))
        page = texts(answer(await mod.slash(world.channel, "models")))
    for english in ("Models of this server", "the default", "Sizes", "Licence", "draws where"):
        assert english not in panel + page
    assert "Picturebook" in panel


def test_the_longest_page_fits_a_message() -> None:
    entry = catalog.load()["picturebook"]
    long = "漢*_`" * 200
    lora = entry.loras["blueprint"].model_copy(update={"trigger": long})
    names = {f"{'n' * 36}{n}": lora for n in range(40)}
    full = entry.model_copy(
        update={
            "title": long[:100],
            "description": long,
            "license": long,
            "loras": names,
            "controls": dict.fromkeys(names, entry.controls["edges"]),
            "sizes": ((16384, 16384),) * 40,
        }
    )
    assert length(said.described(full, default=True)) < 3900
    models = catalog.load().model_copy(update={"models": dict.fromkeys(list(names)[:10], full)})
    offer = offers.Offer((), frozenset(), dict.fromkeys(models.models, long), "x")
    lines = [said.moderated_title(2, 0), *(said.moderated(models, offer, name) for name in models.models)]
    assert length("\n".join(lines)) < 4000
