"""A new user's first minutes, in a real browser, and the next day's."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.easel.demo_page import (
    Demo,
    browser_page,
    button,
    choose_app,
    choose_command,
    chromium,
    expect_finished,
    expect_text,
    look_as,
    paste_line,
    type_line,
    wait_for_pictures,
    watch,
)

pytestmark = pytest.mark.timeout(900)

STOP_S = 10
"""On two busy cores it takes two seconds; with Python's last look for garbage it took fourteen."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(data_dir: Path) -> Iterator[Demo]:
    chromium()
    demo = Demo(data_dir)
    yield demo
    demo.stop()


@pytest.fixture(scope="module")
def page(first: Demo) -> Iterator[Page]:
    with browser_page() as opened:
        opened.goto(first.address())
        yield opened


def test_a_typed_prompt_forms_before_the_eyes_of_whoever_typed_it(first: Demo, page: Page) -> None:
    said = "".join(first.said)
    assert said.index("Loading Picturebook") < said.index("http://127.0.0.1"), "nobody waits for it later"
    type_line(page, "/imagine a red castle on green hills at night --ar 3:2 --seed 60")
    percentages, previews = watch(page)
    assert any(5 <= percent <= 95 for percent in percentages), percentages
    assert previews, "its preview was never there"
    expect_text(page, "a red castle on green hills at night")
    (grid,) = wait_for_pictures(page, 1)
    assert grid[0] > grid[1], "--ar 3:2 is wider than high"


def test_a_button_draws_one_of_the_grid_alone(page: Page) -> None:
    button(page, "U1")
    expect_text(page, "Image #1")
    expect_finished(page)
    grid, single = wait_for_pictures(page, 2)[-2:]
    assert grid[0] > single[0], "a grid shows more than one picture"


def test_a_refused_prompt_is_answered_in_view_and_is_no_crash(page: Page) -> None:
    paste_line(page, "/imagine a castle --ar wide")
    expect(page.get_by_text("takes width:height").last).to_be_in_viewport()
    assert "failed" not in page.inner_text("body")
    choose_command(page, "/imagine", "a castle --chaos much")
    expect(page.get_by_text("--chaos takes").last).to_be_in_viewport()
    assert "failed" not in page.inner_text("body")


def test_what_easel_does_not_hear_is_answered_with_what_to_type(page: Page) -> None:
    paste_line(page, "/imagin a castle")
    expect(page.get_by_text("Did you mean /imagine?").last).to_be_in_viewport()
    type_line(page, "a castle, please")
    expect(page.get_by_text("type /imagine a castle, please").last).to_be_in_viewport()


@pytest.mark.exhaustive
def test_a_prompt_of_the_greeting_is_drawn_when_it_is_pressed(page: Page) -> None:
    button(page, "a white rabbit in a forest in winter")
    expect_text(page, "a white rabbit in a forest in winter - @Ada")
    button(page, "Cancel Job")
    expect_finished(page)


@pytest.mark.exhaustive
def test_menus_reactions_and_direct_messages_are_reached(page: Page) -> None:
    choose_app(page, "DM Results")
    expect_text(page, "Sent to your direct messages.")
    choose_app(page, "React with ✉️")
    look_as(page, re.compile(r"Ada: direct messages \(2\)"))
    wait_for_pictures(page, 1)
    look_as(page, "Ben")
    choose_app(page, "Report Job")
    expect_text(page, "Thank you: the moderators")
    look_as(page, "Mo (moderator)")
    choose_app(page, "Jobs of Member")
    expect_text(page, "Only you can see this")
    assert "failed" not in page.inner_text("body")
    look_as(page, "Ada")


@pytest.mark.exhaustive
def test_it_stops_at_once_and_says_what_it_waits_for(first: Demo, page: Page) -> None:
    button(page, "U2")
    expect_text(page, "Image #2")
    began = time.monotonic()
    assert first.stop() == 0, "".join(first.said)
    assert time.monotonic() - began < STOP_S
    said = "".join(first.said)
    assert "handed back" in said
    assert "Traceback" not in said


@pytest.mark.exhaustive
def test_yesterdays_pictures_are_there_with_buttons_that_work(first: Demo, data_dir: Path) -> None:
    assert first.process.poll() is not None, "it was stopped before"
    again = Demo(data_dir)
    try:
        with browser_page() as page:
            page.goto(again.address())
            before = len(wait_for_pictures(page, 3))
            button(page, "U3")
            expect_text(page, "Image #3")
            wait_for_pictures(page, before + 1)
            look_as(page, re.compile(r"Ada: direct messages \(2\)"))
            wait_for_pictures(page, 1)
        assert again.stop() == 0
    finally:
        again.stop()
