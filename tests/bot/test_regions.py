"""Vary (Region): its form, the mask that comes of it, and what is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from bot.messages import deeds
from storage.contract import Action, GenerationRequest, Task
from tests.bot import drawing, photos
from tests.bot.pressing import images, job_rows, picked, remixed, used
from tests.bot.simulated import World, answer, fill, labels, prefilled, press


def mask_of(world: World) -> np.ndarray[Any, Any]:
    request = GenerationRequest.model_validate(job_rows(world)[-1].request)
    assert request.mask_key is not None
    with PIL.Image.open(io.BytesIO(world.backends.images.load(request.mask_key))) as mask:
        return np.asarray(mask)


async def painted(message: Any, box: tuple[float, float, float, float], kind: str = "PNG") -> bytes:
    """The posted picture, saved, and painted over in this part of it."""
    shown = PIL.Image.open(io.BytesIO(await message.attachments[0].read())).convert("RGB")
    sides = (shown.width, shown.height, shown.width, shown.height)
    corners = [part * side for part, side in zip(box, sides, strict=True)]
    PIL.ImageDraw.Draw(shown).rectangle(corners, fill="white")
    out = io.BytesIO()
    shown.save(out, kind)
    return out.getvalue()


async def test_the_form_has_words_places_and_a_painted_copy(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a red castle --no trees --seed 3")
    opened = await press(alice, single, "Vary (Region)")
    assert opened.modal is not None
    fields = [label["component"] for label in opened.modal["components"]]
    assert [field["custom_id"] for field in fields] == ["prompt", "places", "painted"]
    assert prefilled(opened) == "a red castle --no trees"
    assert len(fields[1]["options"]) == 9
    assert not fields[1]["required"]
    assert not fields[2]["required"]


async def test_places_are_drawn_anew(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    _, single = await picked(world, alice)
    opened = await press(bob, single, "Vary (Region)")
    await world.restart_bot()
    result = await fill(bob, opened, prompt=prefilled(opened), places=["1", "2", "3"])
    assert "Making variations of a region of image #2 with prompt **a red castle**" in answer(result).content
    job = job_rows(world)[-1]
    request = GenerationRequest.model_validate(job.request)
    assert (job.action, job.member_id, job.parent_index) == (Action.VARY_REGION, bob.id, 1)
    assert (request.task, request.source_key) == (Task.INPAINTING, None)
    assert request.parent_image_id == images(world)[1].id
    assert request.strength == 1
    mask = mask_of(world)
    assert mask[:21].min() == 255
    assert mask[21:].max() == 0
    assert used(world.reread(single)) == ["Vary (Region)"]
    drawing.draw(world.backends)
    grid = await world.picture(after=single.id)
    assert "Variations (Region) by" in grid.content
    assert len(labels(grid)) == 9


async def test_other_words_make_it_a_remix(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    await fill(alice, opened, prompt="a flag --s 50", places=["2"])
    job = job_rows(world)[-1]
    assert (job.action, job.text) == (Action.REMIX_REGION, "a flag --s 50")
    assert remixed(world.reread(single)) == ["Vary (Region)"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_painted_copy_says_where(world: World, kind: str) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    data = await painted(single, (0, 0.5, 0.5, 1), kind)
    await fill(alice, opened, prompt="a boat", painted=[(f"copy.{kind.lower()}", data)])
    mask = mask_of(world) > 0
    assert mask.shape == (64, 64)
    assert mask[36:, :28].all()
    assert not mask[:28].any()
    assert not mask[:, 36:].any()


async def test_paint_and_places_add_up(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    data = await painted(single, (0, 0.5, 0.5, 1))
    await fill(alice, opened, prompt="a boat", painted=[("copy.png", data)], places=["3"])
    mask = mask_of(world) > 0
    assert mask[36:, :28].all()
    assert mask[:21, 42:].all()
    assert not mask[:21, :42].any()


async def test_two_members_have_it_open(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    _, single = await picked(world, alice)
    first, second = await press(alice, single, "Vary (Region)"), await press(bob, single, "Vary (Region)")
    await fill(bob, second, prompt="a boat", places=["9"])
    await fill(alice, first, prompt="a fish", places=["1"])
    assert [(job.member_id, job.text) for job in job_rows(world)[1:]] == [
        (bob.id, "a boat"),
        (alice.id, "a fish"),
    ]


async def test_what_cannot_be_a_region_is_refused(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    same = await painted(single, (0, 0, 0, 0))
    tall = await painted(single, (0, 0, 1, 1))
    refusals: list[tuple[dict[str, Any], str]] = [
        ({}, deeds.no_region()),
        ({"places": [str(place) for place in range(1, 10)]}, deeds.region_too_large()),
        ({"painted": [("copy.png", same)]}, deeds.region_too_small()),
        ({"painted": [("copy.png", tall)]}, deeds.region_too_large()),
        ({"painted": [("copy.png", photos.png(100, 64))]}, deeds.painted_shape((100, 64), (64, 64))),
        ({"painted": [("copy.txt", b"no picture")]}, "This is no picture"),
    ]
    for fields, sentence in refusals:
        opened = await press(alice, single, "Vary (Region)")
        refused = await fill(alice, opened, prompt="a boat", **fields)
        assert refused.ephemeral
        assert sentence in answer(refused).content
    wrong = await press(alice, single, "Vary (Region)")
    refused = await fill(alice, wrong, prompt="a boat --stylise 4", places=["1"])
    assert "Did you mean `--stylize" in answer(refused).content
    assert len(job_rows(world)) == 1


async def test_an_enlarged_pictures_region_is_of_what_was_drawn(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    await press(alice, single, "Upscale (4×)")
    drawing.draw(world.backends)
    large = await world.picture(after=single.id)
    opened = await press(alice, large, "Vary (Region)")
    data = await painted(large, (0, 0.5, 0.5, 1))
    await fill(alice, opened, prompt="a boat", painted=[("copy.png", data)])
    request = GenerationRequest.model_validate(job_rows(world)[-1].request)
    assert (request.width, request.height) == mask_of(world).shape == (64, 64)
    assert request.parent_image_id == images(world)[1].id
