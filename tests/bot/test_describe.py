"""`/describe`, its buttons, and `/blend`: what members bring, as they meet it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from actions import found_prompts
from bot.messages import pictures
from prompts.parser import parse
from storage import attempts, jobs, members
from storage.contract import Action, GenerationRequest, JobState, Task
from storage.tables import Batch, Job
from tests.bot import drawing, photos
from tests.bot.simulated import Member, World, answer, button, fill, labels, press
from tests.bot.test_commands import job_rows

FOUND = [
    "a red castle on green hills, watercolor",
    "a fortress at night",
    "a castle, oil painting",
    "a red palace",
]
GRAY, BLUE, GREEN = 2, 1, 3
BUTTONS = ["1️⃣", "2️⃣", "3️⃣", "4️⃣", "🔄", "Imagine all"]


def colours(message: Any) -> dict[str, int]:
    """Of the numbers below a message."""
    return {name: button(message, name)["style"] for name in BUTTONS[:4]}


def requested(job: Job) -> GenerationRequest:
    return GenerationRequest.model_validate(job.request)


async def described(world: World, alice: Member, **found: Any) -> Any:
    """The message with which `/describe` ends."""
    await alice.slash(world.channel, "describe", image=("castle.png", photos.png(90, 60)))
    drawing.find(world.backends, **(found or {"prompts": FOUND}))
    await world.delivered()
    return world.messages()[-1]


async def test_an_attachment_becomes_a_job_about_it(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "describe", image=("castle.jpg", photos.jpeg(6, 90, 60)))
    assert not result.ephemeral
    assert answer(result).content.startswith("Describing **castle.jpg** - ")
    assert labels(answer(result)) == ["Cancel Job"]
    (job,) = job_rows(world)
    request = requested(job)
    assert (request.task, request.model) == (Task.DESCRIBE, "picturebook")
    assert (request.width, request.height) == (60, 90)
    assert request.source_key is not None
    assert Image.open(io.BytesIO(world.backends.images.load(request.source_key))).size == (60, 90)


async def test_the_answer_shows_the_picture_and_four_numbered_prompts(world: World) -> None:
    alice = world.member("alice")
    message = await described(world, alice)
    assert len(world.messages()) == 1
    lines = message.content.splitlines()
    assert lines[0] == f"**castle.png** - Described by {alice.mention}"
    assert lines[1:] == [f"{number} {text} --ar 3:2" for number, text in zip(BUTTONS, FOUND, strict=False)]
    assert labels(message) == BUTTONS
    (file,) = message.attachments
    assert file.filename.endswith(".png")
    with world.backends.database.reading() as session:
        assert jobs.get(session, 1).state == JobState.SUCCEEDED


async def test_a_number_draws_its_prompt_for_whoever_presses(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    message = await described(world, alice)
    await press(bob, message, "2️⃣")
    _, job = job_rows(world)
    assert (job.member_id, job.action, job.text) == (bob.id, Action.IMAGINE, f"{FOUND[1]} --ar 3:2")
    assert (requested(job).width, requested(job).height) == (80, 56)
    await press(bob, message, "2️⃣")
    assert len(job_rows(world)) == 2, "the same press twice is one job"


async def test_with_remix_a_number_opens_the_prompt_to_be_changed(world: World) -> None:
    alice = world.member("alice")
    message = await described(world, alice)
    with world.backends.database.writing() as session:
        members.member(session, alice.id).settings = {"remix": True}
    result = await press(alice, message, "1️⃣")
    assert result.modal is not None
    assert len(job_rows(world)) == 1
    await alice.submit_modal(result, values={"prompt": "a blue castle"})
    assert job_rows(world)[-1].text == "a blue castle"


async def test_numbers_show_what_was_drawn_and_what_with_other_words(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    message = await described(world, alice)
    await press(bob, message, "2️⃣")
    assert colours(world.messages()[0]) == {"1️⃣": GRAY, "2️⃣": BLUE, "3️⃣": GRAY, "4️⃣": GRAY}
    with world.backends.database.writing() as session:
        members.member(session, alice.id).settings = {"remix": True}
    for number, prompt in (("1️⃣", "a blue castle"), ("4️⃣", f"{FOUND[3]} --ar 1:1")):
        await fill(alice, await press(alice, message, number), prompt=prompt)
    await world.until(lambda: colours(world.messages()[0])["4️⃣"] == BLUE)
    assert colours(world.messages()[0]) == {"1️⃣": GREEN, "2️⃣": BLUE, "3️⃣": GRAY, "4️⃣": BLUE}
    assert [job.parent_index for job in job_rows(world)] == [None, 1, 0, 3]

    await world.restart_bot()
    await alice.slash(world.channel, "show", job_id=1)
    await world.delivered()
    assert colours(world.messages()[-1]) == {"1️⃣": GREEN, "2️⃣": BLUE, "3️⃣": GRAY, "4️⃣": BLUE}


async def test_again_describes_the_same_picture_with_another_seed(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    await press(bob, await described(world, alice), "🔄")
    first, second = job_rows(world)
    assert (second.action, second.text, second.member_id) == (Action.DESCRIBE, first.text, bob.id)
    assert second.parent_job_id == first.id
    assert requested(second).seed != requested(first).seed
    assert requested(second).model_copy(update={"seed": requested(first).seed}) == requested(first)


async def test_imagine_all_asks_and_then_draws_each(world: World) -> None:
    alice = world.member("alice")
    result = await press(alice, await described(world, alice), "Imagine all")
    assert result.ephemeral
    assert labels(answer(result)) == ["Yes", "No"]
    await press(alice, answer(result), "Yes")
    made = job_rows(world)[1:]
    assert [job.text for job in made] == [f"{text} --ar 3:2" for text in FOUND]
    with world.backends.database.reading() as session:
        assert session.query(Batch).count() == 1


async def test_a_link_is_taken_as_well_and_shown_without_what_follows_its_path(world: World) -> None:
    """The key that a signed link carries is not for others to read."""
    alice = world.member("alice")
    link = "https://nobody.invalid/castle.png?key=secret"
    result = await alice.slash(world.channel, "describe", link=link)
    assert result.ephemeral
    assert answer(result).content == pictures.unreachable(None)
    assert job_rows(world) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, pictures.one_source(0)),
        ({"image": ("a.png", photos.png()), "link": "https://example.com/a.png"}, pictures.one_source(2)),
        ({"image": ("a.txt", b"hello")}, pictures.not_a_picture()),
        ({"image": ("a.png", bytes(20 * 2**20 + 1))}, pictures.too_many_bytes(20)),
        ({"link": "castle.png"}, pictures.not_a_link("castle.png")),
        ({"link": "http://127.0.0.1/castle.png"}, pictures.private_address()),
    ],
    ids=["nothing", "both", "no picture", "too large", "no link", "private"],
)
async def test_bad_pictures_are_refused_privately(
    world: World, options: dict[str, Any], sentence: str
) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "describe", **options)
    assert result.ephemeral
    assert answer(result).content == sentence
    assert job_rows(world) == []


async def test_without_a_describer_pictures_are_not_taken(world: World) -> None:
    entries = {
        name: entry.model_copy(update={"describer": None})
        for name, entry in world.backends.catalog.models.items()
    }
    offered = world.backends.catalog.model_copy(update={"models": entries})
    world.backends.catalogs = lambda: offered
    alice = world.member("alice")
    file = ("castle.png", photos.png())
    result = await alice.slash(world.channel, "describe", image=file)
    assert answer(result).content == pictures.no_describer(None)
    other = ("fox.png", photos.png(colour="gold"))
    result = await alice.slash(world.channel, "blend", image1=file, image2=other)
    assert answer(result).content == pictures.no_describer("picturebook")
    assert job_rows(world) == []


async def test_a_lost_picture_still_has_its_prompts(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "describe", image=("castle.png", photos.png()))
    key = requested(job_rows(world)[0]).source_key
    assert key is not None
    world.backends.images.delete(key)
    drawing.find(world.backends, prompts=FOUND)
    await world.delivered()
    message = world.messages()[-1]
    assert message.attachments == []
    assert labels(message) == BUTTONS


async def test_what_a_model_says_can_neither_ping_nor_become_a_flag(world: World) -> None:
    alice = world.member("alice")
    message = await described(world, alice, prompts=["a sign {x, y} --stealth says @everyone a::2 **b**"])
    assert labels(message) == ["1️⃣", "🔄"]
    assert "@everyone" not in message.content
    await press(alice, message, "1️⃣")
    job = job_rows(world)[-1]
    assert requested(job).parts == ()
    assert not job.stealth
    assert job.text == "a sign x, y stealth says @everyone a 2 **b** --ar 3:2"


async def test_nothing_found_is_said(world: World) -> None:
    alice = world.member("alice")
    message = await described(world, alice, prompts=[])
    assert "Nothing was found" in message.content
    assert labels(message) == ["🔄"]


async def test_an_unsafe_picture_is_said_to_be(world: World) -> None:
    from storage.contract import ErrorCode

    alice = world.member("alice")
    await alice.slash(world.channel, "describe", image=("castle.png", photos.png()))
    taken = drawing.claim(world.backends)
    with world.backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.SOURCE_WITHHELD, "", retry=False)
    await world.delivered()
    assert "safety check does not let such a picture be used" in world.messages()[-1].content


async def test_descriptions_and_their_buttons_are_shown_again(world: World) -> None:
    alice = world.member("alice")
    await described(world, alice)
    await alice.slash(world.channel, "show", job_id=1)
    await world.delivered()
    assert labels(world.messages()[-1]) == BUTTONS
    assert len(world.messages()) == 2


async def test_buttons_on_a_job_without_words_say_so(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    for custom_id in ("e1:de:1:1", "e1:da:1", "e1:dr:1", "e1:sn:1:2", "e1:sd:1"):
        posted = world.post_component(custom_id)
        result = await alice.click(posted, custom_id=custom_id)
        assert result.ephemeral
        assert answer(result).content == pictures.no_words()


@pytest.mark.parametrize("number", [0, 5, 99])
async def test_a_number_that_no_prompt_has(world: World, number: int) -> None:
    alice = world.member("alice")
    await described(world, alice)
    custom_id = f"e1:de:1:{number}"
    result = await alice.click(world.post_component(custom_id), custom_id=custom_id)
    assert answer(result).content == pictures.no_words()


async def test_stealth_descriptions_are_their_members_alone(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    with world.backends.database.writing() as session:
        members.member(session, alice.id, "alice").settings = {"stealth": True}
    await alice.slash(world.channel, "describe", image=("castle.png", photos.png()))
    job = drawing.find(world.backends, prompts=FOUND)
    assert job.stealth
    for custom_id in (f"e1:de:{job.id}:1", f"e1:da:{job.id}", f"e1:dr:{job.id}"):
        posted = world.post_component(custom_id)
        assert (await mallory.click(posted, custom_id=custom_id)).ephemeral
    assert len(job_rows(world)) == 1


# Blend


def file_of(colour: str) -> tuple[str, bytes]:
    return f"{colour}.png", photos.png(colour=colour)


async def test_pictures_are_blended_into_one_job(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(
        world.channel,
        "blend",
        image1=file_of("red"),
        image2=file_of("blue"),
        image3=file_of("gold"),
        dimensions="Portrait",
    )
    said = answer(result).content
    assert said.startswith("Blending **red.png + blue.png + gold.png --ar 2:3** - ")
    (job,) = job_rows(world)
    request = requested(job)
    assert (job.action, request.task, request.prompt) == (Action.BLEND, Task.IMAGE_TO_IMAGE, "")
    assert len(set(request.source_keys)) == 3
    assert (request.width, request.height) == (56, 80)
    assert request.num_images_per_prompt == 4
    drawing.draw(world.backends)
    grid = await world.picture()
    assert labels(grid) == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]
    await press(alice, grid, "V2")
    varied = requested(job_rows(world)[-1])
    assert varied.source_keys == request.source_keys, "its words are still what the pictures show"
    assert varied.parent_image_id is not None


async def test_words_given_to_a_blend_take_the_place_of_its_descriptions(world: World) -> None:
    alice = world.member("alice")
    with world.backends.database.writing() as session:
        members.member(session, alice.id, "alice").settings = {"remix": True}
    await alice.slash(world.channel, "blend", image1=file_of("red"), image2=file_of("blue"))
    first = requested(drawing.draw(world.backends))
    opened = await press(alice, await world.picture(), "🔄")
    await alice.submit_modal(opened, values={"prompt": "a green fox"})
    again = requested(job_rows(world)[-1])
    assert again.prompt == "a green fox"
    assert (again.task, again.source_keys) == (Task.IMAGE_TO_IMAGE, first.source_keys)
    opened = await press(alice, await world.picture(), "🔄")
    await alice.submit_modal(opened, values={"prompt": job_rows(world)[0].text})
    same = requested(job_rows(world)[-1])
    assert (same.prompt, same.source_keys) == ("", first.source_keys), "unchanged, it is the same blend"


async def test_a_blend_is_square_unless_said_otherwise_and_beats_the_suffix(world: World) -> None:
    alice = world.member("alice")
    with world.backends.database.writing() as session:
        members.member(session, alice.id, "alice").settings = {"suffix": "--ar 3:2 --s 250", "ratio": "3:2"}
    await alice.slash(world.channel, "blend", image1=file_of("red"), image2=file_of("blue"))
    request = requested(job_rows(world)[0])
    assert (request.width, request.height, request.stylize) == (64, 64, 250)


async def test_the_same_picture_twice_is_no_blend(world: World) -> None:
    alice = world.member("alice")
    again = "other.webp", photos.file(photos.quarters(), "WEBP", lossless=True)
    result = await alice.slash(world.channel, "blend", image1=("a.png", photos.png()), image2=again)
    assert result.ephemeral
    assert answer(result).content == pictures.duplicate_images()
    third = file_of("red")
    await alice.slash(world.channel, "blend", image1=("a.png", photos.png()), image2=again, image3=third)
    assert len(requested(job_rows(world)[0]).source_keys) == 2


async def test_one_bad_picture_refuses_the_blend(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "blend", image1=file_of("red"), image2=("b.png", b"no"))
    assert answer(result).content == pictures.of_several("b.png", pictures.not_a_picture())
    assert job_rows(world) == []


@pytest.mark.parametrize(
    "name", ["a --stealth.png", "x::2.png", "{a, b}.png", "--.png", "", "🦊.png", "l" * 300]
)
async def test_file_names_are_no_prompt(world: World, name: str) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "blend", image1=(name, photos.png()), image2=file_of("red"))
    (job,) = job_rows(world)
    assert not job.stealth
    assert requested(job).parts == ()
    assert len(job.text) < 160


# What is said of ratios


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((100, 100), "1:1"),
        ((152, 112), "4:3"),
        ((1920, 1080), "16:9"),
        ((1080, 1920), "9:16"),
        ((900, 90), "4:1"),
    ],
)
def test_the_nearest_ratio(size: tuple[int, int], ratio: str, world: World) -> None:
    assert found_prompts.nearest_ratio(*size) == ratio
    parse(f"a fox --ar {ratio}", world.backends.catalog)
