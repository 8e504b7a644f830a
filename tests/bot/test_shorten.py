"""`/shorten`: its answer, its buttons, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from bot.messages import pictures
from prompts.markdown import length
from storage.contract import Action, GenerationRequest, Task
from storage.tables import Job
from tests.bot import drawing
from tests.bot.simulated import Member, World, answer, button, labels, press, texts
from tests.bot.studio import Studio
from tests.bot.test_commands import job_rows

PROMPT = "please draw a red castle at night"
WEIGHTS = [
    ["please", 0.02],
    ["draw", 0.05],
    ["a", 0.01],
    ["red", 0.9],
    ["castle", 1.0],
    ["at", 0.2],
    ["night", 0.5],
]
FOUND = ["red castle at night", "red castle night", "red castle", "castle"]
NUMBERS = ["1️⃣", "2️⃣", "3️⃣", "4️⃣"]


async def shortened(world: World, alice: Member, prompt: str = PROMPT, **found: Any) -> Any:
    """The message with which `/shorten` ends."""
    await alice.slash(world.channel, "shorten", prompt=prompt)
    drawing.find(world.backends, **{"weights": WEIGHTS, "prompts": FOUND, **found})
    await world.delivered()
    return world.messages()[-1]


async def test_words_are_marked_by_their_weight_and_prompts_numbered(world: World) -> None:
    alice = world.member("alice")
    message = await shortened(world, alice)
    assert message.content == ""
    said = texts(message).splitlines()
    assert "~~please draw a~~ **red castle** at **night**" in said
    assert [line for line in said if line[:1] in {*"1234"}] == [
        f"{number} {text}" for number, text in zip(NUMBERS, FOUND, strict=True)
    ]
    assert alice.mention in texts(message)
    assert labels(message) == [*NUMBERS, "Show Details"]
    assert len(world.messages()) == 1


async def test_what_is_weighed_is_the_plain_prompt(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "shorten", prompt="a (red:1.3) castle --ar 3:2 --s 250")
    assert answer(result).content.startswith("Shortening **a (red:1.3) castle --ar 3:2 --s 250** - ")
    (job,) = job_rows(world)
    request = GenerationRequest.model_validate(job.request)
    assert (job.action, request.task, request.prompt) == (Action.SHORTEN, Task.SHORTEN, "a red castle")


async def test_a_number_draws_its_prompt_with_the_flags_that_were_typed(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    message = await shortened(world, alice, f"{PROMPT} --ar 3:2")
    assert "1️⃣ red castle at night --ar 3:2" in texts(message)
    await press(bob, message, "3️⃣")
    job = job_rows(world)[-1]
    assert (job.member_id, job.action, job.text) == (bob.id, Action.IMAGINE, "red castle --ar 3:2")


async def test_a_number_that_was_drawn_is_blue_and_the_words_stay(world: World) -> None:
    alice = world.member("alice")
    message = await shortened(world, alice)
    said = texts(message)
    await press(alice, message, "2️⃣")
    coloured = world.messages()[0]
    assert [button(coloured, number)["style"] for number in NUMBERS] == [2, 1, 2, 2]
    assert texts(coloured) == said
    assert labels(coloured) == [*NUMBERS, "Show Details"]
    # What is drawn of it belongs to no image.
    drawing.draw(world.backends)
    grid = await world.picture()
    await press(alice, grid, "U1")
    shown = await press(alice, await world.picture(after=grid.id), "ℹ️")
    assert "Family: Imagined (job 2) ← Shortened (job 1)" in answer(shown).content


async def test_details_are_every_words_weight_privately(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    result = await press(bob, await shortened(world, alice), "Show Details")
    assert result.ephemeral
    said = answer(result).content
    assert "`1.00` castle" in said
    assert "`0.02` please" in said


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("hot::2 dog", pictures.not_shortened("::")),
        ("a fox --no trees", pictures.not_shortened("--no")),
        ("fox", pictures.too_short()),
        ("https://example.com/a.png fox", pictures.too_short()),
    ],
)
async def test_what_cannot_be_shortened(world: World, prompt: str, sentence: str) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "shorten", prompt=prompt)
    assert result.ephemeral
    assert answer(result).content == sentence
    assert job_rows(world) == []


@pytest.mark.parametrize(
    ("prompt", "named"), [("a fox --banana", "--banana"), ("a lolicon fox", "Banned prompt")]
)
async def test_bad_flags_and_forbidden_words_are_refused_as_everywhere(
    world: World, prompt: str, named: str
) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "shorten", prompt=prompt)
    assert result.ephemeral
    assert named in answer(result).content
    assert job_rows(world) == []


async def test_a_prompt_that_is_short_already(world: World) -> None:
    alice = world.member("alice")
    message = await shortened(world, alice, "red fox", weights=[["red", 1.0], ["fox", 0.9]], prompts=[])
    assert "as short as it can be" in texts(message)
    assert labels(message) == ["Show Details"]


async def test_the_longest_prompt_fits(world: World) -> None:
    alice = world.member("alice")
    words = ["*_~`"] * 790
    weights = [[word, index % 3 / 2] for index, word in enumerate(words)]
    message = await shortened(
        world,
        alice,
        " ".join(words),
        weights=weights,
        prompts=[" ".join(words[:length]) for length in (780, 5)],
    )
    assert 0 < length(texts(message)) <= 4000
    result = await press(alice, message, "Show Details")
    assert length(answer(result).content) <= 2000


def test_the_answer_comes_once_though_the_bot_died_after_posting_it(studio: Studio) -> None:
    """What was posted is found again in the channel by its buttons, which stand inside a container."""
    studio.server.slash(studio.ada, studio.channel, "shorten", prompt=PROMPT)
    studio.wait(
        lambda: _only_job(studio) is not None and _only_job(studio).progress_message_id, what="the job"
    )
    drawing.find(studio.backends, weights=WEIGHTS, prompts=FOUND)
    studio.settled()
    (row,) = studio.deliveries()
    (posted,) = studio.server.posts(studio.channel)
    studio.stop_bot()
    with studio.backends.database.writing() as session:
        delivery = session.get_one(type(row), row.id)
        delivery.state, delivery.message_id, delivery.due_at = "open", None, 0
        assert delivery.attempted_at is not None
        session.execute(_forget_messages())
    studio.start_bot()
    studio.settled()
    assert studio.server.posts(studio.channel) == [posted]
    assert studio.deliveries()[0].message_id == row.message_id


def _only_job(studio: Studio) -> Job:
    with studio.backends.database.reading() as session:
        return session.query(Job).order_by(Job.id).first()  # type: ignore[return-value]


def _forget_messages() -> Any:
    from sqlalchemy import delete

    from storage.tables import Message

    return delete(Message)
