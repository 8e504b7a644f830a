"""The options of `/imagine`: pictures to begin with, model, ratio, and earlier prompts taken up again."""

from __future__ import annotations

from typing import Any

import pytest

from storage.contract import GenerationRequest, Task
from storage.tables import Job
from tests.bot import drawing, photos
from tests.bot.simulated import Member, World, answer, press
from tests.bot.site import Site
from tests.bot.test_commands import job_rows


def requested(job: Job) -> GenerationRequest:
    return GenerationRequest.model_validate(job.request)


async def imagine(world: World, alice: Member, prompt: str = "a castle", **options: Any) -> Any:
    return await alice.slash(world.channel, "imagine", prompt=prompt, **options)


async def refused(world: World, alice: Member, prompt: str = "a castle", **options: Any) -> str:
    """The private sentence why nothing is drawn."""
    before = len(job_rows(world))
    result = await imagine(world, alice, prompt, **options)
    assert result.ephemeral
    assert len(job_rows(world)) == before
    content = answer(result).content
    assert isinstance(content, str)
    return content


async def test_model_and_ratio_are_flags(world: World) -> None:
    alice = world.member("alice")
    await imagine(world, alice, ratio="3:2", model="picturebook")
    (job,) = job_rows(world)
    assert "--ar 3:2" in job.text
    assert "--model picturebook" in job.text
    assert (job.model, requested(job).width) == ("picturebook", 80)


async def test_a_flag_in_the_text_wins_and_the_answer_says_so(world: World) -> None:
    alice = world.member("alice")
    result = await imagine(world, alice, "a castle --ar 7:10", ratio="3:2")
    (job,) = job_rows(world)
    assert job.text == "a castle --ar 7:10"
    (followup,) = result.followups
    assert followup.content == "`--ar` in your text was followed, not the option `3:2`."


async def test_a_model_that_there_is_not_is_refused(world: World) -> None:
    assert "--model" in await refused(world, world.member("alice"), model="dall-e")


async def test_models_are_offered_by_name_and_title(world: World) -> None:
    alice = world.member("alice")
    offered = [
        [choice["value"] for choice in await alice.autocomplete(world.channel, "imagine", "model", typed)]
        for typed in ("", "PICT", "none of them")
    ]
    assert offered == [["picturebook", "other"], ["picturebook"], []]


async def test_earlier_prompts_are_offered_newest_first(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    long = "a castle with " + "very " * 40 + "many towers"
    for prompt in ("a red fox", long, "a red fox", "a blue fox"):
        await imagine(world, alice, prompt)
    await imagine(world, bob, "a green fox")
    choices = await alice.autocomplete(world.channel, "imagine", "again", "")
    assert [choice["name"] for choice in choices] == ["a blue fox", "a red fox", long[:99] + "…"]
    assert [choice["value"] for choice in choices] == ["4", "3", "2"]
    found = await alice.autocomplete(world.channel, "imagine", "again", "FOX red")
    assert [choice["name"] for choice in found] == ["a red fox"]
    assert await bob.autocomplete(world.channel, "imagine", "again", "castle") == []


async def test_again_draws_the_earlier_prompt_with_what_is_typed(world: World) -> None:
    alice = world.member("alice")
    await imagine(world, alice, "a red fox --ar 3:2 --s 50")
    await imagine(world, alice, "a blue fish")
    await imagine(world, alice, "at night --ar 2:3", again="1")
    await imagine(world, alice, ".", again="blue")
    assert [job.text for job in job_rows(world)][2:] == ["a red fox, at night --s 50 --ar 2:3", "a blue fish"]


async def test_a_choice_may_be_permuted(world: World) -> None:
    alice = world.member("alice")
    await imagine(world, alice, "a red fox")
    result = await imagine(world, alice, "{at night, by day}", again="1")
    assert answer(result).content.startswith("This makes 2 jobs:\n- a red fox, at night\n")
    assert result.ephemeral


@pytest.mark.parametrize("which", ["99", "1", "castle", "`", " "])
async def test_what_was_never_asked_for_cannot_be_taken_up_again(world: World, which: str) -> None:
    await imagine(world, world.member("bob"), "somebody else's castle")
    assert "No earlier prompt of yours" in await refused(world, world.member("alice"), again=which)


async def test_an_attachment_is_what_the_picture_begins_with(world: World) -> None:
    alice = world.member("alice")
    photo = ("photo.jpg", photos.jpeg())
    for prompt in ("a castle", "a castle --iw 2", "a castle --iw 3", "a castle --iw 0"):
        await imagine(world, alice, prompt, image=photo)
    requests = [requested(job) for job in job_rows(world)]
    assert {request.task for request in requests} == {Task.IMAGE_TO_IMAGE}
    assert len({request.source_key for request in requests}) == 1
    assert world.backends.images.exists(requests[0].source_key or "")
    assert [request.strength for request in requests] == pytest.approx([0.7, 0.4, 0.1, 1.0])


async def test_a_second_option_alone_is_as_good(world: World) -> None:
    await imagine(world, world.member("alice"), image2=("photo.png", photos.png()))
    assert requested(job_rows(world)[0]).source_key is not None


async def test_a_picture_needs_no_words(world: World) -> None:
    await imagine(world, world.member("alice"), "--iw 2", image=("photo.png", photos.png()))
    request = requested(job_rows(world)[0])
    assert (request.prompt, request.strength) == ("", 0.4)


async def test_several_pictures_are_refused_where_nothing_reads_them(world: World) -> None:
    alice = world.member("alice")
    photo, a, b = ("photo.png", photos.png()), "https://example.org/a.png", "https://example.org/b.png"
    said = [
        await refused(world, alice, "a castle --model other", image=photo, image2=photo),
        await refused(world, alice, f"{a} a castle --model other", image=photo),
        await refused(world, alice, f"{a} {b} a castle --model other"),
    ]
    assert all("`other`" in sentence and "`/blend`" in sentence for sentence in said)


async def test_what_is_no_picture_is_refused(world: World) -> None:
    assert await refused(world, world.member("alice"), image=("photo.png", b"no picture at all"))


async def test_every_permutation_begins_with_the_picture(world: World) -> None:
    alice = world.member("alice")
    question = await imagine(world, alice, "a {red, blue} castle", image=("photo.png", photos.png()))
    await press(alice, answer(question), "Yes")
    requests = [requested(job) for job in job_rows(world)]
    assert [request.task for request in requests] == [Task.IMAGE_TO_IMAGE] * 2
    assert requests[0].source_key == requests[1].source_key is not None


async def test_a_link_in_front_of_the_words_is_fetched_once(world: World, site: Site) -> None:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    question = await imagine(world, alice, f"http://{site.address}/a.png a {{red, blue}} castle --iw 1.5")
    await press(alice, answer(question), "Yes")
    assert site.asked == ["/a.png"]
    requests = [requested(job) for job in job_rows(world)]
    assert [request.prompt for request in requests] == ["a red castle", "a blue castle"]
    assert requests[0].source_key == requests[1].source_key is not None
    assert [request.strength for request in requests] == pytest.approx([0.55, 0.55])
    drawing.draw(world.backends)
    grid = await world.picture()
    assert f"<http://{site.address}/a.png> a red castle" in grid.content


async def test_a_link_into_the_operators_network_is_refused(world: World, site: Site) -> None:
    assert await refused(world, world.member("alice"), f"http://{site.address}/a.png a castle")
    assert site.asked == []
