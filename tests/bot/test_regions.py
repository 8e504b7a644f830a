"""Vary (Region): its form, the mask that comes of it, and what is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from bot.messages import image_actions
from storage.contract import Action, ErrorCode, GenerationRequest, Task
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


async def test_the_form_has_words_where_places_and_a_painted_copy(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a red castle --no trees --seed 3")
    opened = await press(alice, single, "Vary (Region)")
    assert opened.modal is not None
    fields = [label["component"] for label in opened.modal["components"]]
    assert [field["custom_id"] for field in fields] == ["prompt", "where", "places", "painted"]
    assert prefilled(opened) == "a red castle --no trees"
    assert len(fields[2]["options"]) == 9
    assert not any(field["required"] for field in fields[1:])


async def test_a_region_keeps_its_pictures_shape_and_says_so(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a red castle --ar 7:5 --seed 3")
    opened = await press(alice, single, "Vary (Region)")
    result = await fill(alice, opened, prompt="a boat --ar 1:2", places=["2"])
    job = job_rows(world)[-1]
    request = GenerationRequest.model_validate(job.request)
    (said,) = result.followups
    assert "`--ar` changed nothing: what this makes of the picture is always 10:7 (" in said.content
    assert f"({request.width}×{request.height})" in said.content
    assert job.text == "a boat --ar 10:7"


async def test_only_a_model_with_a_segmenter_is_asked_where_in_words(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a red castle --model other")
    opened = await press(alice, single, "Vary (Region)")
    assert opened.modal is not None
    fields = [label["component"]["custom_id"] for label in opened.modal["components"]]
    assert fields == ["prompt", "places", "painted"]
    refused = await world.submit(alice, f"e1:fr:{images(world)[1].id}", prompt="a boat", where="the sky")
    assert answer(refused).content.startswith(image_actions.no_segmenter("other"))
    assert len(job_rows(world)) == 1


async def test_words_say_where_after_a_restart_too(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    await world.restart_bot()
    await fill(alice, opened, prompt="a blue castle", where=" the sky, the tree ,")
    job = job_rows(world)[-1]
    request = GenerationRequest.model_validate(job.request)
    assert job.action == Action.REMIX_REGION
    assert (request.task, request.mask_words, request.mask_key) == (
        Task.INPAINTING,
        "the sky, the tree",
        None,
    )
    assert request.parent_image_id == images(world)[1].id
    drawing.draw(world.backends)
    grid = await world.picture(after=single.id)
    await press(alice, grid, "🔄")
    again = GenerationRequest.model_validate(job_rows(world)[-1].request)
    assert (again.task, again.mask_words) == (Task.INPAINTING, "the sky, the tree")
    drawing.draw(world.backends)
    await press(alice, grid, "V1")
    varied = GenerationRequest.model_validate(job_rows(world)[-1].request)
    assert (varied.task, varied.mask_words) == (Task.IMAGE_TO_IMAGE, "")


async def test_words_are_added_to_places_and_paint(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    data = await painted(single, (0, 0.5, 0.5, 1))
    await fill(alice, opened, prompt="a boat", where="the sky", painted=[("a.png", data)], places=["3"])
    request = GenerationRequest.model_validate(job_rows(world)[-1].request)
    assert request.mask_words == "the sky"
    mask = mask_of(world) > 0
    assert mask[36:, :28].all()
    assert mask[:21, 42:].all()


@pytest.mark.parametrize("code", [ErrorCode.REGION_NOT_FOUND, ErrorCode.REGION_TOO_LARGE])
async def test_what_words_did_not_find_is_said_with_what_to_do(world: World, code: ErrorCode) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Vary (Region)")
    await fill(alice, opened, prompt="a boat", where="the *unicorn*")
    drawing.fail(world.backends, code)
    said = await world.until(lambda: [text for text in world.messages() if "unicorn" in text.content])
    assert "`the *unicorn*`" in said[-1].content
    assert "Press Vary (Region) again and name" in said[-1].content
    assert labels(world.reread(single))
    await fill(alice, await press(alice, single, "Vary (Region)"), prompt="a boat", where="the sky")
    assert len(job_rows(world)) == 3


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


async def test_a_mask_in_black_and_white_says_where(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    mask = PIL.Image.new("L", (128, 128))
    mask.paste(255, (64, 0, 128, 128))
    out = io.BytesIO()
    mask.save(out, "JPEG")
    opened = await press(alice, single, "Vary (Region)")
    await fill(alice, opened, prompt="a boat", painted=[("mask.jpg", out.getvalue())])
    assert (mask_of(world)[:, 33:] == 255).all()
    assert (mask_of(world)[:, :31] == 0).all()


async def test_what_cannot_be_a_region_is_refused(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    same = await painted(single, (0, 0, 0, 0))
    tall = await painted(single, (0, 0, 1, 1))
    refusals: list[tuple[dict[str, Any], str]] = [
        ({}, image_actions.no_region(finds=True)),
        ({"where": " , "}, image_actions.no_region(finds=True)),
        ({"places": [str(place) for place in range(1, 10)]}, image_actions.region_too_large()),
        ({"painted": [("copy.png", same)]}, image_actions.region_too_small()),
        ({"painted": [("copy.png", tall)]}, image_actions.region_too_large()),
        ({"painted": [("copy.png", photos.png(100, 64))]}, image_actions.painted_shape((100, 64), (64, 64))),
        ({"painted": [("copy.txt", b"no picture")]}, "This is no picture"),
    ]
    for fields, sentence in refusals:
        opened = await press(alice, single, "Vary (Region)")
        refused = await fill(alice, opened, prompt="a boat", **fields)
        assert refused.ephemeral
        assert sentence in answer(refused).content
    wrong = await press(alice, single, "Vary (Region)")
    refused = await fill(alice, wrong, prompt="a boat --stilyze 4", places=["1"])
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
