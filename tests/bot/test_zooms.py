"""Zoom, pan, Make Square and Custom Zoom: what they make of a picture, and what they refuse."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest

from actions import derivation
from bot.messages import image_actions
from storage.contract import Action, GenerationRequest, Task
from tests.bot import drawing
from tests.bot.pressing import SINGLE, images, job_rows, picked, set_up, used
from tests.bot.simulated import World, answer, button, fill, labels, prefilled, press


def newest(world: World) -> GenerationRequest:
    return GenerationRequest.model_validate(job_rows(world)[-1].request)


def stored(world: World, key: str | None) -> np.ndarray[Any, Any]:
    assert key is not None
    with PIL.Image.open(io.BytesIO(world.backends.images.load(key))) as image:
        return np.asarray(image)


def checked_sheet(world: World, request: GenerationRequest, box: tuple[int, int, int, int]) -> None:
    """The stored source has the picture in `box`, and the mask says that the rest is new."""
    source, mask = stored(world, request.source_key), stored(world, request.mask_key)
    assert source.shape == (request.height, request.width, 3)
    assert mask.shape == (request.height, request.width)
    left, top, right, bottom = box
    kept = np.zeros_like(mask, bool)
    kept[top:bottom, left:right] = True
    assert (mask[kept] == 0).all()
    assert (mask[~kept] == 255).all()
    original = stored(world, images(world)[1].key)
    assert np.abs(source[kept].astype(float) - original[0, 0]).max() <= 1


@pytest.mark.parametrize(
    ("label", "size", "box", "wording"),
    [
        ("Zoom Out 2×", (64, 64), (16, 16, 48, 48), "Zoom Out by"),
        ("Zoom Out 1.5×", (64, 64), (10, 10, 53, 53), "Zoom Out by"),
        ("⬅️", (88, 64), (24, 0, 88, 64), "Pan Left by"),
        ("➡️", (88, 64), (0, 0, 64, 64), "Pan Right by"),
        ("⬆️", (64, 88), (0, 24, 64, 88), "Pan Up by"),
        ("⬇️", (64, 88), (0, 0, 64, 64), "Pan Down by"),
    ],
)
async def test_the_picture_lies_on_a_larger_sheet(
    world: World, label: str, size: tuple[int, int], box: tuple[int, int, int, int], wording: str
) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    _, single = await picked(world, alice)
    result = await press(bob, single, label)
    assert bob.mention in answer(result).content
    request = newest(world)
    assert (request.width, request.height) == size
    assert request.task is Task.INPAINTING
    assert request.parent_image_id == images(world)[1].id
    assert request.num_images_per_prompt == 4
    checked_sheet(world, request, box)
    assert used(world.reread(single)) == [label]
    drawing.draw(world.backends)
    grid = await world.picture(after=single.id)
    assert wording in grid.content
    assert len(labels(grid)) == 9
    assert grid.reference is not None
    assert grid.reference.message_id == single.id


async def test_the_prompt_says_the_new_ratio(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a red castle --aspect 1:1 --cfg 3 --seed 9")
    await press(alice, single, "➡️")
    assert job_rows(world)[-1].text == "a red castle --cfg 3 --ar 11:8"
    drawing.draw(world.backends)
    panned = await world.picture(after=single.id)
    await press(alice, panned, "U1")
    wide = await world.picture(after=panned.id)
    await press(alice, wide, "Zoom Out 2×")
    assert job_rows(world)[-1].text == "a red castle --cfg 3 --ar 11:8"
    assert (newest(world).width, newest(world).height) == (88, 64)


async def test_make_square_is_there_where_it_has_a_meaning(world: World) -> None:
    alice = world.member("alice")
    _, square = await picked(world, alice)
    assert "Make Square" not in labels(square)
    _, wide = await picked(world, alice, "a red castle --ar 7:5")
    assert labels(wide) == [*SINGLE[:9], "Make Square", *SINGLE[9:]]
    await press(alice, wide, "Make Square")
    job = job_rows(world)[-1]
    assert (job.action, job.text) == (Action.MAKE_SQUARE, "a red castle --ar 1:1")
    assert (newest(world).width, newest(world).height) == (80, 80)
    mask = stored(world, newest(world).mask_key)
    assert mask[0].all()
    assert mask[-1].all()
    assert not mask[12:68].any(), "the old pixels keep their size"


async def test_an_enlarged_picture_is_zoomed_at_the_size_it_was_drawn_in(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    await press(alice, single, "Upscale (4×)")
    drawing.draw(world.backends)
    large = await world.picture(after=single.id)
    await press(alice, large, "⬇️")
    request = newest(world)
    assert (request.width, request.height, request.scale) == (64, 88, 1)
    assert request.parent_image_id == images(world)[1].id
    assert used(world.reread(large)) == ["⬇️"]


async def test_custom_zoom_always_asks_with_one_text(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a red castle --ar 7:5 --no trees --seed 9")
    opened = await press(alice, single, "Custom Zoom")
    assert prefilled(opened) == "a red castle --no trees --ar 10:7 --zoom 2"
    await world.restart_bot()
    result = await fill(alice, opened, prompt=prefilled(opened))
    assert result.followups == [], "here the flag has a meaning"
    job, request = job_rows(world)[-1], newest(world)
    assert job.action == Action.ZOOM_CUSTOM
    assert job.text == "a red castle --no trees --ar 10:7"
    assert answer(result).content.endswith("(Waiting to start)")
    assert request.negative_prompt == "trees"
    checked_sheet(world, request, (20, 14, 60, 42))
    assert used(world.reread(single)) == ["Custom Zoom"]


async def test_custom_zoom_takes_words_ratio_and_factor(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Custom Zoom")
    await fill(alice, opened, prompt="a castle in a frame —ar 7:5 --zoom 1.25 --s 50")
    request = newest(world)
    assert (request.prompt, request.stylize) == ("a castle in a frame", 50)
    checked_sheet(world, request, (17, 5, 62, 50))
    reshaped = await press(alice, single, "Custom Zoom")
    await fill(alice, reshaped, prompt="a castle --ar 5:7 --zoom 1")
    checked_sheet(world, newest(world), (0, 12, 56, 68))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a castle --zoom 3", "`--zoom` takes a number from 1 to 2, not `3`. Did you mean `--zoom 2`?"),
        ("a castle --zoom", "`--zoom` needs a value"),
        ("a castle --zoom x", "`--zoom` takes a number from 1 to 2, not `x`."),
        ("a castle --zoom 0.5", "`--zoom` takes a number from 1 to 2, not `0.5`. Did you mean `--zoom 1`?"),
        ("a castle --zoom 2 --ar", "`--ar` needs a value"),
        ("--zoom 2", "Empty prompt"),
        ("a castle --zoom 1", image_actions.nothing_to_draw()),
        ("a castle --zoom 1 --ar 1:1", image_actions.nothing_to_draw()),
    ],
)
async def test_custom_zoom_refuses(world: World, text: str, sentence: str) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, single, "Custom Zoom")
    refused = await fill(alice, opened, prompt=text)
    assert refused.ephemeral
    assert sentence in answer(refused).content
    if sentence != image_actions.nothing_to_draw():
        assert text in answer(refused).content, "to copy"
    assert len(job_rows(world)) == 1


async def test_without_zoom_in_the_text_it_is_two(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    await fill(alice, await press(alice, single, "Custom Zoom"), prompt="a castle")
    checked_sheet(world, newest(world), (16, 16, 48, 48))


async def test_a_remixed_pan_is_of_the_new_words(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    set_up(world, alice, remix=True)
    await fill(alice, await press(alice, single, "⬅️"), prompt="a sea of flowers --seed 12")
    assert (newest(world).prompt, newest(world).seed) == ("a sea of flowers", 12)
    assert job_rows(world)[-1].text == "a sea of flowers --seed 12 --ar 11:8"
    checked_sheet(world, newest(world), (24, 0, 88, 64))
    assert not newest(world).continues, "other words are for what is around"
    assert newest(world).strength == derivation.WORDED


async def test_unchanged_words_tell_of_the_picture_that_goes_on(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    await press(alice, single, "⬅️")
    assert (newest(world).continues, newest(world).strength) == (True, derivation.CONTINUED)
    opened = await press(alice, single, "Custom Zoom")
    await fill(alice, opened, prompt=prefilled(opened))
    assert newest(world).continues
    drawing.draw(world.backends)
    grid = await world.picture(after=single.id)
    await press(alice, grid, "V1")
    assert not newest(world).continues


async def test_the_same_press_twice_is_one_zoom(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    await press(alice, single, "Zoom Out 2×")
    await press(alice, single, "Zoom Out 2×")
    await press(alice, single, "Zoom Out 1.5×")
    assert [job.action for job in job_rows(world)] == [
        Action.IMAGINE,
        Action.ZOOM_OUT,
        Action.ZOOM_OUT_15X,
    ]
    assert used(world.reread(single)) == ["Zoom Out 2×", "Zoom Out 1.5×"]


async def test_a_lost_picture_is_said(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    world.backends.images.delete(images(world)[1].key)
    refused = await press(alice, single, "Zoom Out 2×")
    assert refused.ephemeral
    assert "not in the store any more" in answer(refused).content
    assert len(job_rows(world)) == 1


async def test_a_withheld_picture_is_not_zoomed(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    with world.backends.database.writing() as session:
        session.merge(images(world)[1]).withheld = True
    for label in ("Zoom Out 2×", "Custom Zoom", "Vary (Region)", "⬆️"):
        assert not button(single, label).get("disabled")
        refused = await press(alice, single, label)
        assert "withheld" in answer(refused).content
