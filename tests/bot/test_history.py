"""`/history` and `/favorites`: pages, words, filters, ZIP files, and what a press on them does."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import PIL.Image
import PIL.ImageColor
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.components.download_zip import read_originals
from bot.components.history_search import DAYS, KINDS, WORDS_LENGTH, Search, fitting, model_number
from bot.messages import histories as said
from prompts.markdown import length
from storage.tables import Job
from tests.bot import drawing
from tests.bot.simulated import (
    World,
    answer,
    buttons,
    components,
    interactions_with,
    labels,
    press,
    texts,
)


async def _drawn(world: World, member: Any, *prompts: str, noise: bool = False) -> None:
    for prompt in prompts:
        await member.slash(world.channel, "imagine", prompt=prompt)
        drawing.finish(world.backends, drawing.claim(world.backends), noise=noise)
    await world.delivered()


def _shown(page: Any, count: int = 10) -> list[int]:
    return [number for number in range(count) if f"castle {number}" in texts(page)]


def _menu(page: Any, verb: str) -> dict[str, Any]:
    (menu,) = [part for part in components(page) if part.get("custom_id", "").startswith(f"e1:{verb}:")]
    return menu


async def _choose(member: Any, page: Any, verb: str, *values: str) -> Any:
    return await member.select(page, list(values), custom_id=_menu(page, verb)["custom_id"])


def _change(world: World, job_id: int, **values: Any) -> None:
    with world.backends.database.writing() as session:
        for name, value in values.items():
            setattr(session.get_one(Job, job_id), name, value)


searches = st.builds(
    Search,
    st.text(max_size=WORDS_LENGTH),
    st.booleans(),
    st.sampled_from([None, *KINDS]),
    st.sampled_from([None, *DAYS]),
    st.one_of(st.none(), st.integers(1, 2**32 - 1)),
)


@given(searches)
def test_a_search_is_what_its_number_and_words_say(search: Search) -> None:
    assert Search.of(search.number, search.words) == search


@given(st.integers(0, 10**19 - 1), st.one_of(st.none(), st.text()))
def test_any_number_is_some_search(number: int, words: str | None) -> None:
    assert Search.of(number, words).words == (words or "")


@given(st.text(max_size=200))
def test_words_fit_their_place(words: str) -> None:
    assert length(fitting(words)) <= WORDS_LENGTH


async def test_pages_turn_also_after_a_restart(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, *(f"a castle {number}" for number in range(7)))
    result = await alice.slash(world.channel, "history")
    assert result.ephemeral
    page = answer(result)
    assert _shown(page) == [2, 3, 4, 5, 6]
    assert len(page.attachments) == 5
    assert len(components(page)) == 40
    newer, older, _ = buttons(page)[-3:]
    assert newer["disabled"]
    await alice.click(page, custom_id=older["custom_id"])
    assert _shown(page) == [0, 1]
    assert len(page.attachments) == 2
    await world.restart_bot()
    newer, older, _ = buttons(page)[-3:]
    assert older["disabled"]
    await alice.click(page, custom_id=newer["custom_id"])
    assert _shown(page) == [2, 3, 4, 5, 6]
    assert buttons(page)[-3]["disabled"]


async def test_an_entry_links_to_its_newest_message(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, "a castle 0")
    (grid,) = world.messages()
    page = answer(await alice.slash(world.channel, "history"))
    assert f"[jump]({grid.jump_url})" in texts(page)


async def test_words_find_in_any_order_and_case(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, "a red castle 0", "a blue castle 1", "a red boat")
    page = answer(await alice.slash(world.channel, "history", words="castle RED"))
    assert _shown(page) == [0]
    assert "red boat" not in texts(page)
    nothing = answer(await alice.slash(world.channel, "history", words="dragon"))
    assert texts(nothing).strip() == said.title("dragon", favorites=False, filters=[], empty=True)


async def test_filters_by_the_menu_are_kept_on_every_page(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, *(f"a castle {number}" for number in range(8)))
    for job_id in (2, 4):
        _change(world, job_id, action="upscale_2x")
    _change(world, 3, created_at=0)
    _change(world, 5, model="other")
    page = answer(await alice.slash(world.channel, "history"))
    await _choose(alice, page, "hw", "upscales")
    assert _shown(page) == [1, 3]
    assert said.kind("upscales") in texts(page)
    await world.restart_bot()
    await _choose(alice, page, "hw", "grids", "upscales", "7")
    assert _shown(page) == [4, 5, 6, 7, 0] or _shown(page) == [0, 4, 5, 6, 7]
    on = [option["value"] for option in _menu(page, "hw")["options"] if option.get("default")]
    assert on == ["grids", "7"]
    await _choose(alice, page, "hw", f"m{model_number('other')}")
    assert _shown(page) == [4]
    await _choose(alice, page, "hw", f"m{model_number('other')}", "upscales")
    assert texts(page).strip().endswith("Choose fewer filters below.")
    await _choose(alice, page, "hw")
    assert _shown(page) == [3, 4, 5, 6, 7]
    older = buttons(page)[-2]["custom_id"]
    await alice.click(page, custom_id=older)
    assert _shown(page) == [0, 1, 2]


async def test_filters_by_the_command(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, "a castle 0", "a castle 1", "a castle 2 --model other")
    _change(world, 1, action="upscale_4x", created_at=0)
    for options, found in (
        ({"kind": "upscales"}, [0]),
        ({"kind": "grids"}, [1, 2]),
        ({"since": 30}, [1, 2]),
        ({"model": "other"}, [2]),
        ({"model": "nonesuch"}, []),
        ({"model": "picturebook", "since": 1, "words": "castle"}, [1]),
    ):
        assert _shown(answer(await alice.slash(world.channel, "history", **options))) == found, options
    choices = await alice.autocomplete(world.channel, "history", "model", "oth")
    assert [choice["value"] for choice in choices] == ["other"]


async def test_favorites_are_the_marked_pictures_of_anyone(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    await _drawn(world, alice, "a castle 0", "a castle 1")
    # The two grids came in any order.
    grid, last = world.grid_of(2), max(message.id for message in world.messages())
    await press(bob, grid, "U1")
    single = await world.picture(after=last)
    await press(bob, single, "❤️")
    page = answer(await bob.slash(world.channel, "favorites"))
    assert _shown(page) == [1]
    assert [part["disabled"] for part in buttons(page) if part.get("label") == "Show"] == [True]
    same = answer(await bob.slash(world.channel, "history", favorites=True))
    assert texts(same) == texts(page)
    await press(bob, page, "❤️")
    assert "None yet" in texts(page)
    assert "None yet" in texts(answer(await alice.slash(world.channel, "favorites")))


async def test_a_favorite_shows_the_marked_picture_and_goes_with_it(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    await _drawn(world, alice, "a castle 0")
    grid = world.messages()[-1]
    await press(bob, grid, "U2")
    single = await world.picture(after=grid.id)
    await press(bob, single, "❤️")
    page = answer(await bob.slash(world.channel, "favorites"))
    (file,) = page.message.attachments
    shown = PIL.Image.open(io.BytesIO(await file.read())).convert("RGB")
    colours = {shown.getpixel((x * shown.width // 4, y * shown.height // 4)) for x in (1, 3) for y in (1, 3)}
    (colour,) = colours
    assert isinstance(colour, tuple)
    assert max(map(abs, map(int.__sub__, colour, PIL.ImageColor.getrgb(drawing.COLOURS[1])))) < 12
    asked = await press(alice, single, "🗑️")
    await press(alice, answer(asked), "Delete")
    assert "None yet" in texts(answer(await bob.slash(world.channel, "favorites")))


async def test_history_is_the_members_own(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    await _drawn(world, alice, "a red castle")
    page = answer(await bob.slash(world.channel, "history"))
    assert "red castle" not in texts(page)
    assert "/imagine" in texts(page)


async def test_show_and_edit_from_an_entry(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, "a red castle --ar 3:2")
    (grid,) = world.messages()
    page = answer(await alice.slash(world.channel, "history"))
    await press(alice, page, "Show")
    again = await world.picture(after=grid.id)
    assert labels(again) == labels(grid)
    form = await press(alice, page, "Edit & run")
    assert form.modal is not None
    result = await world.submit(alice, "e1:fi:1", prompt="a blue boat")
    assert "a blue boat" in answer(result).content


async def _names(message: Any) -> list[str]:
    (attachment,) = message.message.attachments
    with zipfile.ZipFile(io.BytesIO(await attachment.read())) as archive:
        assert archive.testzip() is None
        return archive.namelist()


async def test_a_selection_comes_as_a_zip(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, "a castle 0", "a castle 1", "a castle 2")
    page = answer(await alice.slash(world.channel, "history"))
    await world.restart_bot()
    result = await _choose(alice, page, "hz", "1", "3")
    assert result.ephemeral
    names = await _names(answer(result))
    assert len(names) == 8
    assert sorted({name.split("_")[-2] for name in names}) == ["1", "3"]
    assert answer(result).content == said.zipped(1, 1, images=8, lost=0)


async def test_a_zip_that_is_too_large_is_split_or_refused(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, *(f"a castle {number}" for number in range(3)), noise=True)
    size = drawing.images(world.backends, 1)[0].size
    page = answer(await alice.slash(world.channel, "history"))
    with interactions_with(attachment_size_limit=size * 5):
        result = await _choose(alice, page, "hz", "1", "2", "3")
    messages = [answer(result), *result.followups]
    names = [name for message in messages for name in await _names(message)]
    assert len(messages) > 1
    assert len(names) == len(set(names)) == 12
    assert f"file 1 of {len(messages)}" in messages[0].content
    with interactions_with(attachment_size_limit=size * 2):
        result = await _choose(alice, page, "hz", "1", "2", "3")
    assert said.not_all_fit(4, 12) in answer(result).content
    assert len(result.followups) == 3
    with interactions_with(attachment_size_limit=size):
        result = await _choose(alice, page, "hz", "1")
    assert answer(result).content.startswith("None of these pictures fits")
    assert answer(result).attachments == []


@pytest.mark.parametrize("gone", ["deleted", "lost"])
async def test_a_zip_of_what_is_gone(world: World, gone: str) -> None:
    alice = world.member("alice")
    await _drawn(world, alice, "a castle 0", "a castle 1")
    page = answer(await alice.slash(world.channel, "history"))
    if gone == "deleted":
        await alice.react(world.grid_of(1), "❌")
        await world.until(lambda: not drawing.images(world.backends, 1))
        result = await _choose(alice, page, "hz", "1")
        assert answer(result).content == said.nothing_to_zip()
    else:
        world.backends.images.delete(drawing.images(world.backends, 1)[0].key)
        result = await _choose(alice, page, "hz", "1", "2")
        assert answer(result).content == said.zipped(1, 1, images=7, lost=1)


async def test_others_originals_are_not_taken(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    await _drawn(world, alice, "a castle 0")
    for member, count in ((alice, 4), (mallory, 0)):
        read = world.backends.database.read(read_originals, world.backends, member.id, [1, 404])
        assert len(await read) == count
