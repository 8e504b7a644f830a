"""🗑 below a single picture."""

from __future__ import annotations

import io
from typing import Any

import PIL.Image
import pytest
from PIL import ImageColor

from bot.discord_io import removals
from bot.messages import image_actions, refusals
from storage.image_encoding import BACKGROUND
from storage.images import movie_key_for
from storage.tables import Image, Job
from tests.bot import drawing
from tests.bot.pressing import images, job_rows, picked
from tests.bot.simulated import World, answer, button, labels, press, texts


def is_there(world: World, message: Any) -> bool:
    return message.id in [one.id for one in world.messages()]


async def test_its_owner_is_asked_and_then_it_is_gone(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    grid, single = await picked(world, alice)
    key = images(world)[1].key
    asked = await press(alice, single, "🗑️")
    assert asked.ephemeral
    assert answer(asked).content == image_actions.really_delete()
    assert labels(answer(asked)) == ["Delete", "Keep"]
    assert is_there(world, single)
    await world.restart_bot()
    done = await press(alice, answer(asked), "Delete")
    assert done.acknowledged
    assert world.reread(answer(asked)).content == image_actions.deleted(message_stays=False)
    assert labels(world.reread(answer(asked))) == []
    assert not is_there(world, single)
    assert is_there(world, grid)
    assert [image.index for image in images(world)] == [0, 2, 3]
    assert not world.backends.images.exists(key)
    for label in ("U2", "V2"):
        refused = await press(bob, grid, label)
        assert refused.ephemeral
        assert answer(refused).content == refusals.no_such_picture()
    await press(bob, grid, "V1")
    assert [label for label in labels(grid) if button(world.reread(grid), label).get("disabled")] == [
        "U2",
        "V2",
    ]


@pytest.mark.parametrize("image_id", [1, 4, None])
async def test_a_movie_goes_with_any_picture_that_it_shows(world: World, image_id: int | None) -> None:
    alice = world.member("alice")
    await picked(world, alice)
    store, key = world.backends.images, movie_key_for(1, 1)
    store.save(key, b"an animated WebP")
    with world.backends.database.writing() as session:
        session.get_one(Job, 1).movie_key = key
    await removals.remove(world.bot, world.backends, 1, image_id)
    assert not store.exists(key)
    assert job_rows(world)[0].movie_key is None


@pytest.mark.parametrize("image_id", [2, None])
async def test_the_sheet_of_a_zoom_goes_with_its_picture(world: World, image_id: int | None) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    _, single = await picked(world, alice)
    for label in ("Zoom Out 2×", "⬅️"):
        await press(bob, single, label)
    around = [job for job in job_rows(world) if job.parent_image_id == 2]
    sheets = [job.request["source_key"] for job in around]
    store = world.backends.images
    assert len(sheets) == 2
    assert all(map(store.exists, sheets))
    await removals.remove(world.bot, world.backends, 1, 1)
    assert all(map(store.exists, sheets))
    await removals.remove(world.bot, world.backends, 1, image_id)
    assert not any(map(store.exists, sheets))


async def test_the_others_keep_their_places(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    asked = await press(alice, single, "🗑️")
    await press(alice, answer(asked), "Delete")
    await alice.slash(world.channel, "show", job_id=job_rows(world)[0].id)
    grid = await world.picture(after=single.id)
    sheet = PIL.Image.open(io.BytesIO(await grid.attachments[0].read())).convert("RGB")
    corners = [(20, 20), (sheet.width - 20, 20), (20, sheet.height - 20), (-20 + sheet.width,) * 2]
    colours = [ImageColor.getrgb(name) for name in drawing.COLOURS]
    assert [sheet.getpixel(corner) for corner in corners] == [
        colours[0],
        BACKGROUND,
        colours[2],
        colours[3],
    ]


async def test_keep_changes_nothing(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    asked = await press(alice, single, "🗑️")
    await press(alice, answer(asked), "Keep")
    assert world.reread(answer(asked)).content == image_actions.kept()
    assert is_there(world, single)
    assert len(images(world)) == 4


async def test_others_may_not(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    _, single = await picked(world, alice)
    refused = await press(mallory, single, "🗑️")
    assert refused.ephemeral
    assert answer(refused).content == refusals.not_yours()
    forged = await press(mallory, world.post_component(f"e1:rmy:{images(world)[1].id}"), "rmy")
    assert answer(forged).content == refusals.not_yours()
    assert len(images(world)) == 4


async def test_a_moderators_deletion_is_in_the_log(world: World) -> None:
    alice, mod = world.member("alice"), world.member("mod", manage_messages=True)
    _, single = await picked(world, alice)
    asked = await press(mod, single, "🗑️")
    await press(mod, answer(asked), "Delete")
    assert not is_there(world, single)
    log = texts(answer(await mod.slash(world.channel, "mod audit")))
    assert f"{mod.mention} took down a picture of {alice.mention}" in log


async def test_an_enlarged_picture_goes_with_its_message(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    await press(alice, single, "Upscale (4×)")
    drawing.draw(world.backends)
    large = await world.picture(after=single.id)
    await world.delivered()
    asked = await press(alice, large, "🗑️")
    await press(alice, answer(asked), "Delete")
    assert not is_there(world, large)
    assert is_there(world, single)
    assert drawing.images(world.backends, job_rows(world)[1].id) == []
    assert labels(world.reread(answer(asked))) == []


async def test_twice_is_said(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    first, second = await press(alice, single, "🗑️"), await press(alice, single, "🗑️")
    await press(alice, answer(first), "Delete")
    refused = await press(alice, answer(second), "Delete")
    assert answer(refused).content == refusals.no_such_picture()


async def test_a_message_that_discord_keeps_is_said(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    asked = await press(alice, single, "🗑️")
    world.env.inject_error("DELETE", "/channels/*/messages/*", status=403, code=50001)
    await press(alice, answer(asked), "Delete")
    assert world.reread(answer(asked)).content == image_actions.deleted(message_stays=True)
    with world.backends.database.reading() as session:
        assert session.get_one(Image, images(world)[0].id + 1).deleted_at is not None
