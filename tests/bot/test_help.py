"""`/help`: three pages with pictures, that turn also after a restart."""

from __future__ import annotations

import io

import PIL.Image

from bot.components.help_pages import FOLDER, PICTURES
from bot.messages import help as said
from prompts.markdown import length
from storage import catalog
from tests.bot.simulated import World, answer, button, components, press, texts


async def test_pages_turn_and_each_has_its_picture(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "help")
    assert result.ephemeral
    page = answer(result)
    for number, turn in enumerate(("Next", "Next", None)):
        assert texts(page).strip() == said.page(number, world.backends.catalog)
        (attachment,) = page.message.attachments
        assert attachment.filename == PICTURES[number]
        shown = PIL.Image.open(io.BytesIO(await attachment.read()))
        assert shown.width > 400
        (gallery,) = [part for part in components(page) if part.get("type") == 12]
        assert gallery["items"][0]["description"] == said.alternative(number)
        if turn is not None:
            await world.restart_bot()
            await press(alice, page, turn)
    assert button(page, "Next")["disabled"]
    await press(alice, page, "Previous")
    assert "2 of 3" in texts(page)


async def test_a_page_of_a_later_version_is_the_last_one(world: World) -> None:
    alice = world.member("alice")
    left = world.post_component("e1:pg:99")
    await alice.click(left, custom_id="e1:pg:99")
    assert "3 of 3" in texts(left)


def test_every_page_fits_a_message() -> None:
    models = catalog.load()
    for number in range(3):
        assert 500 < length(said.page(number, models)) <= said.TEXT
    flags = said.page(1, models)
    for name in ("ar", "stylize", "chaos", "seed", "no", "tile", "repeat", "video"):
        assert f"`--{name}" in flags


def test_the_pictures_are_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in PICTURES) < 300 * 1024
