"""Remix: the form with the prompt before more is made of a picture, and what its submit makes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from actions.derivation import CONTINUED, WORDED, Subject
from actions.table import BY_VERB
from bot.messages import image_actions, refusals
from storage import jobs
from storage.contract import Action, GenerationRequest, Task
from storage.tables import Job
from tests.bot import drawing
from tests.bot.pressing import GRID, drawn, images, job_rows, picked, remixed, set_up, used
from tests.bot.simulated import Member, World, answer, fill, labels, prefilled, press


def request_of(job: Job) -> GenerationRequest:
    return GenerationRequest.model_validate(job.request)


async def remixing(world: World) -> tuple[Member, Any, Any]:
    """A member who has Remix on, a grid and its second picture."""
    alice = world.member("alice")
    grid, single = await picked(world, alice, "a red castle --ar 7:5 --seed 5 --no trees")
    set_up(world, alice, remix=True)
    return alice, grid, single


async def test_without_remix_no_form_opens(world: World) -> None:
    alice, grid, _ = await remixing(world)
    set_up(world, alice, remix=None)
    assert (await press(alice, grid, "V1")).modal is None
    assert job_rows(world)[1].action == Action.VARY


@pytest.mark.parametrize(
    ("label", "ordinary", "changed"),
    [
        ("V3", Action.VARY, Action.REMIX),
        ("Vary (Subtle)", Action.VARY_SUBTLE, Action.REMIX_SUBTLE),
        ("Vary (Strong)", Action.VARY_STRONG, Action.REMIX_STRONG),
        ("🔄", Action.REROLL, Action.REROLL),
        ("Zoom Out 2×", Action.ZOOM_OUT, Action.ZOOM_OUT),
        ("Zoom Out 1.5×", Action.ZOOM_OUT_15X, Action.ZOOM_OUT_15X),
        ("Make Square", Action.MAKE_SQUARE, Action.MAKE_SQUARE),
        ("⬅️", Action.PAN_LEFT, Action.PAN_LEFT),
        ("➡️", Action.PAN_RIGHT, Action.PAN_RIGHT),
        ("⬆️", Action.PAN_UP, Action.PAN_UP),
        ("⬇️", Action.PAN_DOWN, Action.PAN_DOWN),
    ],
)
async def test_the_form_makes_the_job(world: World, label: str, ordinary: Action, changed: Action) -> None:
    alice, grid, single = await remixing(world)
    message = grid if label in GRID and label != "🔄" else single
    opened = await press(alice, message, label)
    assert prefilled(opened) == "a red castle --ar 7:5 --no trees", "the whole prompt, without its seed"
    await fill(alice, opened, prompt=prefilled(opened))
    again = await press(alice, message, label)
    result = await fill(alice, again, prompt="a blue boat --ar 7:5 --cfg 3")
    assert "(Waiting to start)" in answer(result).content
    _, same, other = job_rows(world)
    assert (same.action, request_of(same).prompt) == (ordinary, "a red castle")
    assert (other.action, request_of(other).prompt) == (changed, "a blue boat")
    assert request_of(other).negative_prompt == ""
    assert request_of(other).guidance_scale == 3
    assert request_of(other).task is request_of(same).task
    assert (other.parent_job_id, other.parent_image_id) == (same.parent_job_id, same.parent_image_id)
    coloured = world.reread(message)
    if changed in {Action.REMIX, Action.REMIX_SUBTLE, Action.REMIX_STRONG}:
        assert remixed(coloured) == [label]
    else:
        assert label in used(coloured)
    drawing.draw(world.backends)
    drawing.draw(world.backends)
    await world.delivered()
    assert labels(world.messages()[-1]) == GRID


async def test_the_grids_reroll_opens_it_too(world: World) -> None:
    alice, grid, _ = await remixing(world)
    opened = await press(alice, grid, "🔄")
    await fill(alice, opened, prompt="a blue boat")
    job = job_rows(world)[1]
    assert (job.action, request_of(job).prompt, request_of(job).task) == (
        Action.REROLL,
        "a blue boat",
        Task.TEXT_TO_IMAGE,
    )
    assert "🔄" in used(world.reread(grid))


async def test_a_form_outlives_the_process_that_opened_it(world: World) -> None:
    alice, grid, _ = await remixing(world)
    opened = await press(alice, grid, "V2")
    await world.restart_bot()
    result = await fill(alice, opened, prompt="a blue boat")
    assert "Remixing image #2 with prompt **a blue boat** - " in answer(result).content
    assert remixed(world.reread(grid)) == ["V2"]


async def test_two_members_have_the_same_form_open(world: World) -> None:
    alice, grid, _ = await remixing(world)
    bob = world.member("bob")
    await press(bob, grid, "U1")
    set_up(world, bob, remix=True)
    first, second = await press(alice, grid, "V2"), await press(bob, grid, "V2")
    assert first.modal is not None
    assert second.modal is not None
    assert first.modal["custom_id"] == second.modal["custom_id"]
    await fill(bob, second, prompt="a boat of bob's")
    await fill(alice, first, prompt="a boat of alice's")
    assert [(job.member_id, job.text) for job in job_rows(world)[1:]] == [
        (bob.id, "a boat of bob's"),
        (alice.id, "a boat of alice's"),
    ]


async def test_the_same_form_twice_with_other_words_is_two_jobs(world: World) -> None:
    alice, grid, _ = await remixing(world)
    for words in ("a boat", "a fish"):
        await fill(alice, await press(alice, grid, "V2"), prompt=words)
    assert [job.text for job in job_rows(world)[1:]] == ["a boat", "a fish"]


async def test_a_bad_flag_is_refused_with_the_text_to_copy(world: World) -> None:
    alice, grid, _ = await remixing(world)
    opened = await press(alice, grid, "V2")
    refused = await fill(alice, opened, prompt="a blue boat --stilyze 3")
    assert refused.ephemeral
    assert "Did you mean `--stylize" in answer(refused).content
    assert "a blue boat --stilyze 3" in answer(refused).content
    assert len(job_rows(world)) == 1
    empty = await fill(alice, await press(alice, grid, "V2"), prompt="--ar 3:2")
    assert "Empty prompt" in answer(empty).content


async def test_a_prompt_that_no_field_holds_is_refused(world: World) -> None:
    alice, grid, _ = await remixing(world)
    with world.backends.database.writing() as session:
        jobs.get(session, job_rows(world)[0].id).text = "x" * 4001
    refused = await press(alice, grid, "V2")
    assert refused.modal is None
    assert answer(refused).content == image_actions.prompt_too_long(4000)
    with world.backends.database.writing() as session:
        jobs.get(session, job_rows(world)[0].id).text = "x" * 4000
    assert prefilled(await press(alice, grid, "V2")) == "x" * 4000


async def test_what_is_gone_says_so_and_opens_nothing(world: World) -> None:
    alice, grid, single = await remixing(world)
    opened = await press(alice, single, "Vary (Strong)")

    def forget(session: Session) -> None:
        for image in jobs.images_of(session, job_rows(world)[0].id):
            image.deleted_at = 1

    await world.backends.database.write(forget)
    for message, label in [(grid, "V2"), (single, "Vary (Subtle)"), (single, "⬅️")]:
        refused = await press(alice, message, label)
        assert refused.modal is None
        assert answer(refused).content == refusals.no_such_picture()
    late = await fill(alice, opened, prompt="a blue boat")
    assert answer(late).content.startswith(refusals.no_such_picture())


async def test_what_was_drawn_without_words_may_stay_so(world: World) -> None:
    alice, grid, _ = await remixing(world)
    with world.backends.database.writing() as session:
        jobs.get(session, job_rows(world)[0].id).text = ""
    opened = await press(alice, grid, "V2")
    assert prefilled(opened) == ""
    await fill(alice, opened, prompt="")
    assert job_rows(world)[1].action == Action.VARY


async def test_nothing_is_told_or_made_of_anothers_stealth_picture(world: World) -> None:
    """Its message is seen by its member alone; a forged press or form is refused all the same."""
    alice, mallory = world.member("alice"), world.member("mallory")
    await picked(world, alice, "a red castle --ar 7:5")
    with world.backends.database.writing() as session:
        jobs.get(session, job_rows(world)[0].id).stealth = True
    await alice.slash(world.channel, "imagine", prompt="something else")
    await mallory.slash(world.channel, "imagine", prompt="another")
    job, image = job_rows(world)[0].id, images(world)[1].id
    for remix in (None, True):
        set_up(world, mallory, remix=remix)
        verbs = [verb for verb, row in BY_VERB.items() if row.subject is Subject.IMAGE and verb != "rm"]
        ids = [f"e1:{verb}:{image}" for verb in verbs]
        for custom_id in [*ids, f"e1:v:{job}:2", f"e1:r:{job}", f"e1:r:{job}:{image}", f"e1:er:{job}"]:
            message = world.post_component(custom_id)
            refused = await press(mallory, message, custom_id.split(":")[1])
            assert refused.modal is None
            assert answer(refused).content == refusals.not_yours(), custom_id
    forms = (f"e1:fx:{image}:0:vs", f"e1:fx:{job}:2:v", f"e1:fz:{image}", f"e1:fr:{image}", f"e1:fi:{job}")
    for custom_id in forms:
        refused = await world.submit(mallory, custom_id, prompt="a fish", places=["1"])
        assert answer(refused).content.startswith(refusals.not_yours()), custom_id
    assert len(job_rows(world)) == 3


async def test_settings_are_not_added_to_changed_words_again(world: World) -> None:
    alice, grid, _ = await remixing(world)
    set_up(world, alice, stylize=900, ratio="5:7", model="other")
    await fill(alice, await press(alice, grid, "V2"), prompt="a blue boat")
    request = request_of(job_rows(world)[1])
    assert (request.stylize, request.width, request.height) == (100, 64, 64)
    assert request.model == "picturebook"


async def test_changed_words_stay_with_the_pictures_model(world: World) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice, "a red castle --model other")
    set_up(world, alice, remix=True)
    await fill(alice, await press(alice, grid, "V1"), prompt="a blue boat")
    await fill(alice, await press(alice, grid, "V2"), prompt="a blue boat --model picturebook")
    assert [job.model for job in job_rows(world)] == ["other", "other", "picturebook"]


@pytest.mark.parametrize(("variability", "strength"), [("low", 0.4), ("high", 0.7), (None, 0.7)])
async def test_variability_is_how_far_v_goes(world: World, variability: str | None, strength: float) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice)
    set_up(world, alice, variability=variability)
    await press(alice, grid, "V4")
    job = job_rows(world)[1]
    assert (job.action, request_of(job).strength) == (Action.VARY, strength)
    assert used(world.reread(grid)) == ["V4"]


async def test_only_the_pictures_own_seed_source_and_spread_are_left_behind(world: World) -> None:
    """A variation of a zoomed picture is of that picture, not of what it was composed from."""
    alice, _, single = await remixing(world)
    set_up(world, alice, remix=None)
    await press(alice, single, "Zoom Out 2×")
    drawing.draw(world.backends)
    zoomed = await world.picture(after=single.id)
    await press(alice, zoomed, "V1")
    request = request_of(job_rows(world)[2])
    assert (request.source_key, request.mask_key, request.task) == (None, None, Task.IMAGE_TO_IMAGE)
    await press(alice, zoomed, "🔄")
    zoom, again = request_of(job_rows(world)[1]), request_of(job_rows(world)[3])
    assert again.seed != zoom.seed
    assert again == zoom.model_copy(update={"seed": again.seed})


async def test_a_remixed_reroll_of_a_zoom_keeps_its_sheet(world: World) -> None:
    alice, _, single = await remixing(world)
    await fill(alice, await press(alice, single, "Zoom Out 2×"), prompt="a blue boat --ar 7:5")
    drawing.draw(world.backends)
    zoomed = await world.picture(after=single.id)
    await fill(alice, await press(alice, zoomed, "🔄"), prompt="a fish")
    zoom, again = (request_of(job) for job in job_rows(world)[1:3])
    assert (again.prompt, again.mask_key, again.source_key) == ("a fish", zoom.mask_key, zoom.source_key)
    assert (again.width, again.height, again.task) == (zoom.width, zoom.height, Task.INPAINTING)


async def test_other_words_for_a_zoom_that_went_on_are_drawn_strongly_and_a_control_draws_without_its_mask(
    world: World,
) -> None:
    alice, _, single = await remixing(world)
    await fill(alice, await press(alice, single, "Zoom Out 2×"), prompt="a red castle --ar 7:5")
    drawing.draw(world.backends)
    zoomed = await world.picture(after=single.id)
    zoom = request_of(job_rows(world)[1])
    assert (zoom.continues, zoom.strength) == (True, CONTINUED)
    await fill(alice, await press(alice, zoomed, "🔄"), prompt="a fish")
    again = request_of(job_rows(world)[2])
    assert (again.continues, again.strength) == (False, WORDED)
    await fill(alice, await press(alice, zoomed, "🔄"), prompt="a fish --control edges")
    led = request_of(job_rows(world)[3])
    assert (led.task, led.source_key, led.mask_key, led.continues) == (Task.TEXT_TO_IMAGE, None, None, False)
    assert led.control is not None
    assert led.control.key == zoom.source_key


@pytest.mark.parametrize(("label", "fixed"), [("⬅️", True), ("Make Square", True), ("Vary (Strong)", False)])
async def test_a_note_on_the_shape_says_what_is_drawn(world: World, label: str, fixed: bool) -> None:
    """A ratio holds where the button leaves one open, and elsewhere its writer is told what is made."""
    alice, _, single = await remixing(world)
    result = await fill(alice, await press(alice, single, label), prompt="a blue boat --ar 1:2")
    job = job_rows(world)[1]
    request = request_of(job)
    (said,) = result.followups
    assert f"({request.width}×{request.height})" in said.content
    assert ("`--ar` changed nothing" in said.content) == fixed
    assert ("is drawn as" in said.content) != fixed
    assert (job.text == "a blue boat --ar 1:2") != fixed


async def test_a_ratio_that_was_left_as_it_stood_needs_no_note(world: World) -> None:
    alice, _, single = await remixing(world)
    opened = await press(alice, single, "⬅️")
    result = await fill(alice, opened, prompt="a blue boat --ar 7:5")
    assert result.followups == []


async def test_a_remixed_reroll_of_a_zoom_says_that_it_keeps_its_shape(world: World) -> None:
    alice, _, single = await remixing(world)
    await fill(alice, await press(alice, single, "Zoom Out 2×"), prompt="a blue boat --ar 7:5")
    drawing.draw(world.backends)
    zoomed = await world.picture(after=single.id)
    result = await fill(alice, await press(alice, zoomed, "🔄"), prompt="a fish --ar 1:2")
    zoom, again = job_rows(world)[1:3]
    assert "`--ar` changed nothing: what this makes of the picture is always" in result.followups[0].content
    assert (request_of(again).width, request_of(again).height) == (
        request_of(zoom).width,
        request_of(zoom).height,
    )
    assert again.text == "a fish --ar 10:7"


async def test_unknown_words_are_said_privately(world: World) -> None:
    alice, grid, _ = await remixing(world)
    result = await fill(alice, await press(alice, grid, "V1"), prompt="a boat --p --hd")
    assert result.followups[0].ephemeral
    assert "`--p` and `--hd` have no meaning here" in result.followups[0].content


async def test_a_form_of_a_newer_version_is_answered(world: World) -> None:
    alice = world.member("alice")
    for custom_id in ("e1:fq:1", "e1:fx:1:0:zz", "MJ::RemixModal::1"):
        result = await world.submit(alice, custom_id, prompt="a fish")
        assert result.ephemeral
        assert "another version" in answer(result).content
