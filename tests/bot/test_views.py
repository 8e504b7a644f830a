"""The buttons below messages, pressed by owners, strangers and moderators."""

from __future__ import annotations

import pytest

from bot.messages import refusals
from storage import attempts, members
from storage.contract import Action, GenerationRequest, JobState, Task
from storage.tables import Image
from tests.bot import drawing
from tests.bot.pressing import GRID, SINGLE, drawn, job_rows, picked, used
from tests.bot.simulated import World, answer, button, buttons, labels, press, texts


async def test_u_posts_the_picture_without_a_worker(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    grid = await drawn(world, alice)
    result = await press(bob, grid, "U3")
    assert result.acknowledged
    single = await world.picture(after=grid.id)
    assert labels(single) == SINGLE
    assert f"Image #3 {bob.mention}" in single.content
    assert single.reference is not None
    assert single.reference.message_id == grid.id
    assert used(world.reread(grid)) == ["U3"]
    assert len(job_rows(world)) == 1


async def test_used_buttons_are_read_from_the_database(world: World) -> None:
    """Each press sees the buttons of a client that has not heard of the other presses."""
    alice, bob = world.member("alice"), world.member("bob")
    grid = await drawn(world, alice)
    with world.seen_as_now(grid):
        await press(alice, grid, "U1")
        await press(bob, grid, "V2")
        await press(alice, grid, "🔄")
        await press(bob, grid, "U4")
    assert used(world.reread(grid)) == ["U1", "U4", "🔄", "V2"]


async def test_a_restart_forgets_nothing(world: World) -> None:
    alice = world.member("alice")
    grid, single = await picked(world, alice)
    await press(alice, grid, "V1")
    await world.restart_bot()
    await press(alice, grid, "U4")
    await press(alice, single, "Upscale (Subtle)")
    assert used(world.reread(grid)) == ["U2", "U4", "V1"]
    assert used(world.reread(single)) == ["Upscale (Subtle)"]


@pytest.mark.parametrize("label", ["V3", "🔄"])
async def test_a_press_makes_a_job_of_the_pressers(world: World, label: str) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    grid = await drawn(world, alice)
    result = await press(bob, grid, label)
    assert bob.mention in answer(result).content
    assert "(Waiting to start)" in answer(result).content
    assert labels(answer(result)) == ["Cancel Job"]
    first, second = job_rows(world)
    assert second.member_id == bob.id
    assert second.parent_job_id == first.id
    assert second.request["seed"] != first.request["seed"]
    assert used(world.reread(grid)) == [label]
    drawing.draw(world.backends)
    result_message = await world.picture(after=grid.id)
    assert bob.mention in result_message.content


async def test_v_varies_the_picture_it_names(world: World) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice)
    await press(alice, grid, "V3")
    first, second = job_rows(world)
    third = drawing.images(world.backends, first.id)[2]
    assert (second.action, second.parent_image_id, second.parent_index) == (Action.VARY, third.id, 2)
    request = GenerationRequest.model_validate(second.request)
    assert (request.task, request.parent_image_id) == (Task.IMAGE_TO_IMAGE, third.id)


async def test_the_same_press_twice_is_one_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.tables.addresses.SAME_PRESS_MS", 60_000)  # for a busy machine
    alice, bob = world.member("alice"), world.member("bob")
    grid = await drawn(world, alice)
    await press(alice, grid, "V1")
    again = await press(alice, grid, "V1")
    assert again.acknowledged
    assert len(job_rows(world)) == 2
    await press(bob, grid, "V1")
    assert len(job_rows(world)) == 3
    await press(alice, grid, "U1")
    await press(alice, grid, "U1")
    await world.delivered()
    assert sum("Image #1" in message.content for message in world.messages()) == 1


@pytest.mark.parametrize(
    ("label", "action"),
    [
        ("Upscale (Subtle)", Action.UPSCALE_SUBTLE),
        ("Upscale (Creative)", Action.UPSCALE_CREATIVE),
        ("Upscale (4×)", Action.UPSCALE_4X),
        ("Vary (Subtle)", Action.VARY_SUBTLE),
        ("Vary (Strong)", Action.VARY_STRONG),
        ("Zoom Out 2×", Action.ZOOM_OUT),
        ("Zoom Out 1.5×", Action.ZOOM_OUT_15X),
        ("⬅️", Action.PAN_LEFT),
        ("➡️", Action.PAN_RIGHT),
        ("⬆️", Action.PAN_UP),
        ("⬇️", Action.PAN_DOWN),
        ("🔄", Action.REROLL),
    ],
)
async def test_buttons_of_a_single_picture(world: World, label: str, action: Action) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    await press(alice, single, label)
    assert job_rows(world)[1].action == action
    assert used(world.reread(single)) == [label]
    drawing.draw(world.backends)
    result = await world.picture(after=single.id)
    one = action in {Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE, Action.UPSCALE_4X}
    assert labels(result) == (SINGLE if one else GRID)
    assert labels(single) == SINGLE


@pytest.mark.parametrize(
    ("verb", "action", "scale", "creativity"),
    [
        ("x2", Action.UPSCALE_2X, 2, 0),
        ("xs", Action.UPSCALE_SUBTLE, 2, 0),
        ("xc", Action.UPSCALE_CREATIVE, 2, 0.3),
        ("x4", Action.UPSCALE_4X, 4, 0),
    ],
)
async def test_how_much_and_how_freely_a_picture_is_enlarged(
    world: World, verb: str, action: Action, scale: int, creativity: float
) -> None:
    """Also by the button of earlier messages, 2×."""
    alice = world.member("alice")
    _, single = await picked(world, alice)
    image = drawing.images(world.backends, job_rows(world)[0].id)[1]
    await press(alice, world.post_component(f"e1:{verb}:{image.id}"), verb)
    job = job_rows(world)[1]
    request = GenerationRequest.model_validate(job.request)
    assert (job.action, request.task, request.scale) == (action, Task.UPSCALE, scale)
    assert (request.width, request.height) == (64 * scale, 64 * scale)
    assert (request.creativity, request.num_images_per_prompt) == (creativity, 1)
    assert labels(single) == SINGLE


async def test_a_picture_that_is_large_already_is_not_upscaled(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    for _ in range(3):
        await press(alice, single, "Upscale (4×)")
        drawing.draw(world.backends)
        single = await world.picture(after=single.id)
    assert button(single, "Upscale (Subtle)")["disabled"]
    assert button(single, "Upscale (4×)")["disabled"]
    assert not button(single, "Vary (Subtle)").get("disabled")


async def test_favorites(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    _, single = await picked(world, alice)
    result = await press(alice, single, "❤️")
    assert result.followups[0].ephemeral
    assert used(world.reread(single)) == ["❤️"]
    await press(bob, single, "❤️")
    await press(alice, single, "❤️")
    assert used(world.reread(single)) == []
    page = answer(await bob.slash(world.channel, "history"))
    assert "red castle" not in texts(page)
    await press(bob, page, "❤️")
    assert "red castle" in texts(page)


async def test_parameters_are_readable_and_draw_the_same_again(world: World) -> None:
    alice = world.member("alice")
    prompt = "a red castle --ar 7:5 --no trees, rain --s 50 --sampler euler --cfg 3 --steps 7"
    grid = await drawn(world, alice, prompt)
    await press(alice, grid, "U2")
    single = await world.picture(after=grid.id)
    result = await press(alice, single, "ℹ️")
    assert result.ephemeral
    (job,) = job_rows(world)
    image = drawing.images(world.backends, job.id)[1]
    assert f"seed {image.seed}" in answer(result).content
    command = answer(result).content.split("```")[1].strip()
    await alice.slash(world.channel, "imagine", prompt=command.removeprefix("/imagine prompt:"))
    assert job_rows(world)[1].request == job.request


async def test_a_withheld_pictures_buttons_are_disabled(world: World) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice, withheld={1})
    disabled = [label for label in labels(grid) if button(grid, label).get("disabled")]
    assert disabled == ["U2", "V2"]
    assert "1 of 4 pictures was withheld" in grid.content
    message = world.post_component(f"e1:u:{job_rows(world)[0].id}:2")
    result = await press(alice, message, "u")
    assert result.ephemeral
    assert answer(result).content == refusals.picture_withheld()


async def test_all_four_withheld_is_said_in_one_sentence(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a skull")
    drawing.draw(world.backends, withheld={0, 1, 2, 3})
    await world.delivered()
    (message,) = world.messages()
    assert "withheld every picture" in message.content
    assert message.attachments == []
    assert buttons(message) == []
    assert job_rows(world)[0].state == JobState.WITHHELD


async def test_a_failure_is_said_with_its_reason(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    drawing.fail(world.backends)
    await world.delivered()
    (message,) = world.messages()
    assert "not enough memory" in message.content
    assert buttons(message) == []


async def test_cancelling_is_for_the_owner_and_moderators(world: World) -> None:
    alice, mallory, mod = (
        world.member("alice"),
        world.member("mallory"),
        world.member("mod", manage_messages=True),
    )
    waiting = answer(await alice.slash(world.channel, "imagine", prompt="a red castle"))
    refused = await press(mallory, waiting, "Cancel Job")
    assert refused.ephemeral
    assert answer(refused).content == refusals.not_yours()
    assert job_rows(world)[0].state == JobState.QUEUED
    await press(alice, waiting, "Cancel Job")
    await world.delivered()
    assert job_rows(world)[0].state == JobState.CANCELLED
    (stopped,) = world.messages()
    assert "(Stopped)" in stopped.content
    assert buttons(stopped) == []
    second = answer(await alice.slash(world.channel, "imagine", prompt="a blue castle"))
    await press(mod, second, "Cancel Job")
    assert job_rows(world)[1].state == JobState.CANCELLED
    assert "cancelled a job of" in texts(answer(await mod.slash(world.channel, "mod audit")))


async def test_a_running_job_is_stopping_until_its_worker_obeys(world: World) -> None:
    alice = world.member("alice")
    waiting = answer(await alice.slash(world.channel, "imagine", prompt="a red castle"))
    taken = drawing.claim(world.backends)
    await press(alice, waiting, "Cancel Job")
    assert labels(world.reread(waiting)) == ["Stopping…"]
    with world.backends.database.writing() as session:
        attempts.stopped(session, taken.job_id, taken.attempt)
    await world.delivered()
    assert "(Stopped)" in world.messages()[0].content


async def test_buttons_of_what_is_gone_answer_with_a_sentence(world: World) -> None:
    alice = world.member("alice")
    grid, single = await picked(world, alice)
    with world.backends.database.writing() as session:
        for image in session.query(Image):
            image.deleted_at = 1
    for message, label in [
        (grid, "U1"),
        (grid, "V1"),
        (single, "Upscale (Subtle)"),
        (single, "❤️"),
        (single, "ℹ️"),
    ]:
        result = await press(alice, message, label)
        assert result.ephemeral, label
        assert answer(result).content == refusals.no_such_picture(), label
    unknown = await press(alice, world.post_component("e1:v:999:1"), "v")
    assert answer(unknown).content == refusals.no_such_job(999)


async def test_a_press_by_a_banned_member_is_refused(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    mod = world.member("mod", manage_messages=True)
    grid = await drawn(world, alice)
    await mod.slash(world.channel, "mod ban", user=mallory)
    for label in ("U1", "V1", "🔄"):
        result = await press(mallory, grid, label)
        assert result.ephemeral
        assert "blocked" in answer(result).content
    assert len(job_rows(world)) == 1


async def test_a_button_of_a_newer_version_is_answered(world: World) -> None:
    alice = world.member("alice")
    result = await press(alice, world.post_component("e1:zz:1"), "zz")
    assert result.ephemeral
    assert "another version" in answer(result).content


async def test_a_message_that_cannot_be_repainted_is_left(world: World) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice)
    world.env.inject_error("PATCH", "/channels/*/messages/*", status=403, code=50001)
    result = await press(alice, grid, "V1")
    assert "(Waiting to start)" in answer(result).content
    assert used(world.reread(grid)) == []
    with world.backends.database.reading() as session:
        assert members.totals(session, alice.id).waiting
