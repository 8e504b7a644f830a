"""Prompts to press, for who typed no word that the small model knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompts.vocabulary import is_all_unknown
from storage import catalog
from storage.errors import CatalogError
from tests.bot import drawing
from tests.bot.pressing import job_rows, set_up
from tests.bot.simulated import World, answer, labels, press
from tests.prompts import catalogs

PICTUREBOOK = catalog.load()["picturebook"]
PROMPTS = list(PICTUREBOOK.prompts)


@pytest.fixture(autouse=True)
def _with_vocabulary(world: World) -> None:
    """The world's small model, with the words and prompts of Picturebook's."""
    models = world.backends.catalog.models
    said = {name: getattr(PICTUREBOOK, name) for name in ("vocabulary", "examples", "prompts")}
    known = models["picturebook"].model_copy(update=said)
    known.__dict__.pop("words", None)
    offered = world.backends.catalog.model_copy(update={"models": {**models, "picturebook": known}})
    world.backends.catalogs = lambda: offered


async def test_the_hint_has_three_prompts_and_each_draws_a_picture(world: World) -> None:
    alice = world.member("alice")
    asked = await alice.slash(world.channel, "imagine", prompt="a dragon")
    hint = asked.followups[0]
    assert hint.ephemeral
    assert "does not know *dragon*" in hint.content
    assert labels(hint) == PROMPTS
    drawing.draw(world.backends)
    grid = await world.picture()
    await world.restart_bot()
    pressed = await press(alice, hint, PROMPTS[1])
    assert f"**{PROMPTS[1]} --model picturebook**" in answer(pressed).content
    assert not pressed.ephemeral
    drawing.draw(world.backends)
    assert PROMPTS[1] in (await world.picture(after=grid.id)).content
    assert job_rows(world)[-1].request["prompt"] == PROMPTS[1]


async def test_the_prompts_are_drawn_by_their_model_whatever_the_presser_has_chosen(world: World) -> None:
    alice = world.member("alice")
    asked = await alice.slash(world.channel, "imagine", prompt="a dragon --model picturebook")
    set_up(world, alice, model="other")
    await press(alice, asked.followups[0], PROMPTS[0])
    assert job_rows(world)[-1].model == "picturebook"


async def test_a_known_word_is_enough_for_no_offer(world: World) -> None:
    alice = world.member("alice")
    asked = await alice.slash(world.channel, "imagine", prompt="a red dragon")
    assert "does not know *dragon*" in asked.followups[0].content
    assert labels(asked.followups[0]) == []


async def test_a_batch_of_unknown_words_offers_them_below_its_question(world: World) -> None:
    alice = world.member("alice")
    asked = await alice.slash(world.channel, "imagine", prompt="a {dragon, unicorn}")
    assert labels(answer(asked)) == ["Yes", "No", *PROMPTS]
    await press(alice, answer(asked), PROMPTS[2])
    assert job_rows(world)[-1].request["prompt"] == PROMPTS[2]
    partly = await alice.slash(world.channel, "imagine", prompt="a {dragon, castle}")
    assert labels(answer(partly)) == ["Yes", "No"]


async def test_other_words_for_a_picture_are_answered_so_too(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a castle")
    drawing.draw(world.backends)
    await press(alice, await world.picture(), "U1")
    edited = await world.submit(alice, f"e1:fi:{job_rows(world)[0].id}", prompt="a dragon")
    assert labels(edited.followups[0]) == PROMPTS


async def test_a_prompt_of_unknown_words_alone_is_not_shortened(world: World) -> None:
    alice = world.member("alice")
    refused = await alice.slash(world.channel, "shorten", prompt="please draw a dragon and 一只狐狸")
    assert refused.ephemeral
    assert "knows none of these words" in answer(refused).content
    assert labels(answer(refused)) == PROMPTS
    assert job_rows(world) == []
    partly = await alice.slash(world.channel, "shorten", prompt="a dragon and a red castle")
    assert "does not know *dragon*" in partly.followups[0].content
    assert len(job_rows(world)) == 1


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a dragon", True),
        ("please draw me a picture of a dragon", True),
        ("一只狐狸", True),
        (" ".join(f"w{n}" for n in range(100)), True),
        (" ".join([*(f"w{n}" for n in range(100)), "castle"]), False),
        ("a red dragon", False),
        ("draw a picture", False),
        ("🦊 !!!", False),
        ("https://a.example/castle.png", False),
    ],
)
def test_whether_a_model_knows_no_word(prompt: str, unknown: bool) -> None:
    assert is_all_unknown(prompt, PICTUREBOOK) is unknown


def test_a_model_without_a_vocabulary_knows_a_word_of_every_prompt() -> None:
    assert not is_all_unknown("a dragon", catalogs.catalog()["picturebook"])


def test_picturebook_knows_every_word_of_its_own_prompts() -> None:
    assert len(PROMPTS) == 3
    assert all(PICTUREBOOK.knows(prompt) for prompt in PROMPTS)


@pytest.mark.parametrize(
    ("prompts", "wrong"),
    [
        ('["a", "b", "c", "d"]', "prompts"),
        (f'["{"x" * 78}"]', "a button holds 80"),
        ('["a\\nb"]', "one line"),
    ],
)
def test_prompts_that_no_button_can_hold_are_told(tmp_path: Path, prompts: str, wrong: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(f'[models.one]\nsource = "x"\nsizes = [[64, 64]]\nprompts = {prompts}\n')
    with pytest.raises(CatalogError, match=wrong):
        catalog.load(file)
