"""Pictures that steer: several before the words, behind `--sref`, `--cref` and `--oref`, and `--control`."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from storage.contract import Control, GenerationRequest, Reference, Role, Task
from storage.tables import Job
from tests.bot import drawing, photos
from tests.bot.pressing import job_rows, picked, set_up
from tests.bot.simulated import Member, World, answer, fill, prefilled, press
from tests.bot.site import Site

RED, BLUE = (("picture.png", photos.png(colour=colour)) for colour in ("red", "blue"))


def requested(job: Job) -> GenerationRequest:
    return GenerationRequest.model_validate(job.request)


async def imagined(world: World, alice: Member, prompt: str, **options: Any) -> GenerationRequest:
    """The request that a command becomes."""
    await alice.slash(world.channel, "imagine", prompt=prompt, **options)
    return requested(job_rows(world)[-1])


async def refused(world: World, alice: Member, prompt: str, **options: Any) -> str:
    before = len(job_rows(world))
    result = await alice.slash(world.channel, "imagine", prompt=prompt, **options)
    assert len(job_rows(world)) == before
    content = answer(result).content
    assert isinstance(content, str)
    return content


async def drawn(world: World, alice: Member, prompt: str, **options: Any) -> Any:
    """The message with the grid of a command."""
    await alice.slash(world.channel, "imagine", prompt=prompt, **options)
    drawing.draw(world.backends)
    return await world.picture()


async def remixed(world: World, alice: Member, message: Any, label: str, prompt: str) -> GenerationRequest:
    """The request that a button's form becomes."""
    set_up(world, alice, remix=True)
    await fill(alice, await press(alice, message, label), prompt=prompt)
    return requested(job_rows(world)[-1])


def keys(request: GenerationRequest) -> dict[Role, tuple[str, ...]]:
    return {reference.role: reference.keys for reference in request.references}


@pytest.mark.parametrize(("typed", "weight"), [("", 1.0), ("--iw 2", 2**0.5), ("--iw .25", 0.5)])
async def test_several_pictures_are_read_beside_the_words(world: World, typed: str, weight: float) -> None:
    request = await imagined(world, world.member("alice"), f"a castle {typed}", image=RED, image2=BLUE)
    assert (request.task, request.prompt, request.source_key) == (Task.TEXT_TO_IMAGE, "a castle", None)
    (reference,) = request.references
    assert reference.role is Role.IMAGE
    assert reference.weight == pytest.approx(weight)
    assert len(set(reference.keys)) == 2
    assert all(world.backends.images.exists(key) for key in reference.keys)


async def test_several_pictures_need_no_words_and_may_be_links(world: World, site: Site) -> None:
    world.backends.config.link_hosts = site.address
    request = await imagined(world, world.member("alice"), f"{site.link('a')} {site.link('b')}", image=RED)
    assert request.prompt == ""
    assert len(keys(request)[Role.IMAGE]) == 3


async def test_pictures_that_are_too_many_are_not_fetched_and_the_member_is_told(
    world: World, site: Site
) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    prompt = " ".join(f"{site.link(str(number))}," for number in range(12)) + " a green boat"
    result = await alice.slash(world.channel, "imagine", prompt=prompt)
    request = requested(job_rows(world)[-1])
    assert request.prompt == "a green boat"
    assert len(keys(request)[Role.IMAGE]) == 8
    assert sorted(site.asked) == [f"/{number}.png" for number in range(8)]
    assert any("the last 4 were left out" in each.content for each in result.followups)


async def test_pictures_of_no_weight_are_not_read(world: World) -> None:
    request = await imagined(world, world.member("alice"), "a castle --iw 0", image=RED, image2=BLUE)
    assert (request.references, request.task) == ((), Task.TEXT_TO_IMAGE)


async def test_the_picture_leads_where_a_control_says_so(world: World) -> None:
    alice = world.member("alice")
    alone = await imagined(world, alice, "a castle --control edges:.8", image=RED)
    assert (alone.task, alone.source_key, alone.references) == (Task.TEXT_TO_IMAGE, None, ())
    assert alone.control is not None
    assert (alone.control.kind, alone.control.weight) == ("edges", 0.8)
    assert world.backends.images.exists(alone.control.key or "")
    both = await imagined(world, alice, "a castle --control edges", image=RED, image2=BLUE)
    assert both.control == Control(kind="edges", key=alone.control.key)
    assert keys(both)[Role.IMAGE] != (alone.control.key,)


async def test_a_control_without_a_picture_is_refused(world: World) -> None:
    said = await refused(world, world.member("alice"), "a castle --control edges")
    assert "`--control` needs a picture that leads" in said
    assert "a castle --control edges" in said, "nothing is lost"


async def test_pictures_behind_flags_are_fetched_once(world: World, site: Site) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    prompt = (
        f"a {{red, blue}} castle --sref {site.link('a')} {site.link('b')} --oref {site.link('a')} --ow 50"
    )
    question = await alice.slash(world.channel, "imagine", prompt=prompt)
    await press(alice, answer(question), "Yes")
    assert sorted(site.asked) == ["/a.png", "/b.png"]
    first, second = (requested(job) for job in job_rows(world))
    assert first.references == second.references
    style, subject = first.references
    assert (style.role, style.links) == (Role.STYLE, (site.link("a"), site.link("b")))
    assert (subject.role, subject.keys) == (Role.SUBJECT, style.keys[:1])
    assert subject.weight == pytest.approx(0.812, abs=0.001)


async def test_a_link_that_leads_nowhere_refuses_the_command(world: World, site: Site) -> None:
    said = await refused(world, world.member("alice"), f"a castle --sref {site.link('a')}")
    assert "private network" in said, "links into it are not followed"
    assert site.asked == []


@pytest.mark.parametrize("label", ["V1", "🔄"])
async def test_a_changed_prompt_keeps_the_pictures_that_it_still_names(
    world: World, site: Site, label: str
) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    grid = await drawn(world, alice, f"a castle --sref {site.link('a')}")
    first = requested(job_rows(world)[0])
    kept = await remixed(world, alice, grid, label, f"a boat --sref {site.link('a')} --sw 1000")
    assert site.asked == ["/a.png"], "and does not fetch them again"
    assert keys(kept) == keys(first)
    assert kept.references[0].weight > first.references[0].weight
    other = await remixed(world, alice, grid, label, f"a boat --cref {site.link('b')}")
    assert site.asked == ["/a.png", "/b.png"]
    assert [*keys(other)] == [Role.SUBJECT]
    none = await remixed(world, alice, grid, label, "a boat")
    assert none.references == ()


async def test_an_unchanged_prompt_keeps_all_that_steered(world: World, site: Site) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    prompt = f"a castle --control edges --sref {site.link('a')}"
    grid = await drawn(world, alice, prompt, image=RED, image2=BLUE)
    first = requested(job_rows(world)[0])
    assert {*keys(first)} == {Role.IMAGE, Role.STYLE}
    await press(alice, grid, "🔄")
    await press(alice, grid, "V2")
    again, varied = (requested(job) for job in job_rows(world)[1:])
    assert (again.control, again.references) == (first.control, first.references)
    assert (varied.control, varied.references) == (None, first.references)
    assert varied.task is Task.IMAGE_TO_IMAGE


async def test_a_reroll_with_other_words_begins_with_the_same_pictures(world: World) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice, "a castle --control edges", image=RED, image2=BLUE)
    first = requested(job_rows(world)[0])
    stronger = await remixed(world, alice, grid, "🔄", "a boat --control edges:2")
    assert stronger.control == (first.control or Control(kind="")).model_copy(update={"weight": 2.0})
    assert stronger.references == first.references
    without = await remixed(world, alice, grid, "🔄", "a boat")
    assert (without.control, without.references) == (None, first.references)


async def test_what_a_picture_began_with_can_lead_afterwards(world: World) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice, "a castle", image=RED)
    first = requested(job_rows(world)[0])
    led = await remixed(world, alice, grid, "🔄", "a boat --control edges")
    assert led.task is Task.TEXT_TO_IMAGE
    assert led.control is not None
    assert led.control.key == first.source_key is not None


async def test_nothing_leads_where_there_was_no_picture(world: World) -> None:
    alice = world.member("alice")
    grid = await drawn(world, alice, "a castle")
    set_up(world, alice, remix=True)
    opened = await press(alice, grid, "🔄")
    assert prefilled(opened) == "a castle"
    result = await fill(alice, opened, prompt="a castle --control edges")
    assert "needs a picture that leads" in answer(result).content
    assert len(job_rows(world)) == 1


async def test_an_upscale_is_steered_by_nothing(world: World, site: Site) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    prompt = f"{site.link('b')} a castle --control edges --sref {site.link('a')}"
    _, single = await picked(world, alice, prompt)
    await press(alice, single, "Upscale (Creative)")
    upscaled = requested(job_rows(world)[-1])
    assert (upscaled.task, upscaled.control, upscaled.references) == (Task.UPSCALE, None, ())


async def test_a_model_that_reads_no_pictures_any_more_says_so(world: World, site: Site) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    grid = await drawn(world, alice, f"a castle --sref {site.link('a')}")
    with world.backends.database.writing() as session:
        job = session.scalars(select(Job)).one()
        job.request = {**job.request, "references": [], "control": {"kind": "depth", "key": "k"}}
    result = await press(alice, grid, "🔄")
    assert "does not read pictures any more" in answer(result).content
    assert len(job_rows(world)) == 1


def test_a_request_names_each_role_once() -> None:
    twice = (Reference(role=Role.STYLE, keys=("a",)), Reference(role=Role.STYLE, keys=("b",)))
    with pytest.raises(ValueError, match="stands twice"):
        GenerationRequest(prompt="a castle", width=64, height=64, seed=1, references=twice)
