"""ℹ️ and Edit & run."""

from __future__ import annotations

import pytest

from bot.messages import image_actions, refusals
from storage import jobs
from storage.contract import Action, GenerationRequest, Task
from tests.bot import drawing, photos
from tests.bot.pressing import images, job_rows, picked, set_up
from tests.bot.simulated import World, answer, fill, labels, prefilled, press
from tests.bot.site import Site


async def test_it_says_how_the_picture_was_made(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a red castle --ar 7:5 --seed 5 --steps 7 --sampler euler")
    with world.backends.database.writing() as session:
        session.merge(images(world)[1]).safety_scores = {"skull": 0.125, "weapon": 0.5}
    result = await press(alice, single, "ℹ️")
    assert result.ephemeral
    said = answer(result).content
    assert "Job 1, image #2: 80 × 56, seed 6" in said
    assert "Picturebook, euler, 7 steps, cfg 7.5" in said
    assert not any(word in said for word in ("Safety", "skull", "weapon"))
    assert "Family" not in said
    assert "Made of it: nothing yet" in said
    assert labels(answer(result)) == ["Edit & run"]


@pytest.mark.parametrize(
    "prompt",
    [
        "a red castle",
        "a red castle --aspect 7:5 --no trees, rain --s 50 --sampler euler --cfg 3 --steps 7",
        "a red castle --q .5 --chaos 20 --weird 30 --tile --raw --seed 7",
        "a red castle::2 trees::1 (sky:1.2) --sameseed 4 --stop 80",
    ],
)
async def test_the_command_draws_the_same_again(world: World, prompt: str) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, prompt)
    said = answer(await press(alice, single, "ℹ️")).content
    command = said.split("```")[1].strip()
    await alice.slash(world.channel, "imagine", prompt=command.removeprefix("/imagine prompt:"))
    first, second = job_rows(world)
    assert second.request == first.request


async def test_the_family_back_to_the_first_and_what_was_made(world: World) -> None:
    alice = world.member("alice")
    grid, single = await picked(world, alice)
    await press(alice, grid, "V2")
    drawing.draw(world.backends)
    varied = await world.picture(after=single.id)
    await press(alice, varied, "U1")
    near = await world.picture(after=varied.id)
    await press(alice, near, "Upscale (4×)")
    drawing.draw(world.backends)
    large = await world.picture(after=near.id)
    said = answer(await press(alice, large, "ℹ️")).content
    assert (
        "Family: Upscaled (4×) of image #1 (job 3) ← Variations of image #2 (job 2) ← Imagined (job 1)"
    ) in said
    await press(alice, near, "Zoom Out 2×")
    assert "Made of it: 1 × Upscaled (4×), 1 × Zoomed out 2×" in (
        answer(await press(alice, near, "ℹ️")).content
    )


async def test_a_long_command_comes_as_a_file(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice, "a castle " * 400)
    result = await press(alice, single, "ℹ️")
    (file,) = answer(result).attachments
    assert file.filename == "prompt.txt"
    assert (await file.read()).decode().startswith("/imagine prompt:a castle a castle")
    assert len(answer(result).content) <= 2000
    assert labels(answer(result)) == ["Edit & run"]


async def test_edit_and_run_after_a_restart(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    _, single = await picked(world, alice, "a red castle --ar 7:5")
    set_up(world, bob, stylize=900, ratio="5:7", model="other")
    said = answer(await press(bob, single, "ℹ️"))
    await world.restart_bot()
    opened = await press(bob, said, "Edit & run")
    assert prefilled(opened) == "a red castle --ar 7:5"
    await world.restart_bot()
    result = await fill(bob, opened, prompt="a blue castle --ar 7:5")
    assert "**a blue castle --ar 7:5**" in answer(result).content
    job = job_rows(world)[1]
    request = GenerationRequest.model_validate(job.request)
    assert (job.action, job.member_id, request.task) == (Action.IMAGINE, bob.id, Task.TEXT_TO_IMAGE)
    assert (request.model, request.width, request.stylize) == ("picturebook", 80, 100)


async def test_edit_and_run_asks_about_several(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    opened = await press(alice, answer(await press(alice, single, "ℹ️")), "Edit & run")
    result = await fill(alice, opened, prompt="a {red, blue} castle")
    assert result.ephemeral
    assert labels(answer(result)) == ["Yes", "No"]
    assert len(job_rows(world)) == 1


async def test_edit_and_run_refuses_as_imagine_does(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    said = answer(await press(alice, single, "ℹ️"))
    opened = await press(alice, said, "Edit & run")
    refused = await fill(alice, opened, prompt="a blue castle --chaoss 3")
    assert refused.ephemeral
    assert "Did you mean `--chaos" in answer(refused).content
    with world.backends.database.writing() as session:
        jobs.get(session, job_rows(world)[0].id).text = "x" * 4001
    too_long = await press(alice, said, "Edit & run")
    assert answer(too_long).content == image_actions.prompt_too_long(4000)
    unknown = await press(alice, world.post_component("e1:er:999"), "er")
    assert answer(unknown).content == refusals.no_such_job(999)


@pytest.mark.parametrize(
    ("prompt", "said", "unsaid"),
    [
        ("a castle", "lacks the pictures", "words alone"),
        ("a castle --control edges", "lacks the pictures", "words alone"),
        ("{link} a castle", "/imagine", "lacks the pictures"),
        ("{link} a castle", "/imagine", "words alone"),
    ],
)
async def test_it_says_whether_the_command_has_its_pictures(
    world: World, site: Site, prompt: str, said: str, unsaid: str
) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    chosen = {} if "{link}" in prompt else {"image": ("picture.png", photos.png())}
    await alice.slash(world.channel, "imagine", prompt=prompt.format(link=site.link("a")), **chosen)
    drawing.draw(world.backends)
    await press(alice, await world.picture(), "U1")
    await world.delivered()
    content = answer(await press(alice, world.messages()[-1], "ℹ️")).content
    assert said in content
    assert unsaid not in content
