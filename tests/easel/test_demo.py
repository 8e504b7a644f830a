"""A new user's first minutes, in a real browser, and the next day's."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.easel.demo_page import (
    DRAW_MS,
    Demo,
    browser_page,
    button,
    choose_app,
    choose_command,
    chromium,
    expect_finished,
    expect_in_view,
    expect_text,
    look_as,
    paste_line,
    picture_sizes,
    type_line,
    wait_for_pictures,
    wait_until_ready,
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
    expect_in_view(page)


def test_a_button_draws_one_of_the_grid_alone(page: Page) -> None:
    button(page, "U1")
    expect_text(page, "Image #1")
    expect_finished(page)
    grid, single = wait_for_pictures(page, 2)[-2:]
    assert grid[0] > single[0], "a grid shows more than one picture"
    expect_in_view(page)


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


def test_a_prompt_of_the_greeting_is_drawn_when_it_is_pressed(page: Page) -> None:
    button(page, "a white rabbit in a forest in winter")
    expect_text(page, "a white rabbit in a forest in winter - @Ada")
    button(page, "Cancel Job")
    expect_finished(page)


@pytest.mark.exhaustive
def test_a_batch_says_that_it_is_done_when_its_pictures_are_there(page: Page) -> None:
    before = len(picture_sizes(page))
    type_line(page, "/imagine {red, blue} boat --steps 2")
    button(page, "Yes")
    wait_for_pictures(page, before + 2)
    expect_text(page, "(2 of 2 done)", wait_ms=5_000)


@pytest.mark.exhaustive
def test_menus_below_a_message_send_report_and_list_its_job(page: Page) -> None:
    choose_app(page, "DM Results", "blue boat")
    expect_text(page, "Sent to your direct messages.")
    look_as(page, "Ben")
    choose_app(page, "Report Job", "blue boat")
    expect_text(page, "Thank you: the moderators")
    look_as(page, "Mo (moderator)")
    choose_app(page, "Jobs of Member", "blue boat")
    expect_text(page, "Jobs of @Ada in this server")
    assert "failed" not in page.inner_text("body")
    look_as(page, re.compile("Ada: direct messages"))
    wait_for_pictures(page, 5)
    look_as(page, "Ada")


@pytest.mark.exhaustive
def test_a_reaction_sends_the_movie_and_another_takes_the_job_back(page: Page) -> None:
    type_line(page, "/imagine a white castle --video --steps 2")
    expect_text(page, "a white castle --video --steps 2 - @Ada (fast)")
    expect_finished(page)
    choose_app(page, "React with ✉️", "a white castle")
    look_as(page, re.compile("Ada: direct messages"))
    movie = page.get_by_role("article").filter(has_text="a white castle").get_by_alt_text(re.compile("webp$"))
    expect(movie).to_be_visible(timeout=DRAW_MS)
    wait_until_ready(page)
    assert movie.evaluate("movie => movie.naturalWidth") > 0
    look_as(page, "Ada")
    choose_app(page, "React with ❌", "a white castle")
    expect(page.get_by_role("article").filter(has_text="a white castle")).to_have_count(0, timeout=DRAW_MS)


@pytest.mark.exhaustive
def test_it_stops_at_once_and_says_what_it_waits_for(first: Demo, page: Page) -> None:
    type_line(page, "/imagine a red boat")
    expect_text(page, "a red boat - @Ada (")
    look_as(page, re.compile("Ada: direct messages"))
    began = time.monotonic()
    assert first.stop() == 0, "".join(first.said)
    assert time.monotonic() - began < STOP_S, "".join(first.said)
    said = "".join(first.said)
    assert "handed back" in said
    assert "Traceback" not in said


@pytest.mark.exhaustive
def test_yesterdays_pictures_are_there_with_buttons_that_work(
    first: Demo, page: Page, data_dir: Path
) -> None:
    assert first.process.poll() is not None, "it was stopped before"
    again = Demo(data_dir)
    try:
        page.goto(again.address())
        before = len(wait_for_pictures(page, 4))
        button(page, "U3")
        expect_text(page, "Image #3")
        wait_for_pictures(page, before + 1)
        look_as(page, re.compile("Ada: direct messages"))
        wait_for_pictures(page, 11)
        began = time.monotonic()
        assert again.stop() == 0
        assert time.monotonic() - began < STOP_S, "".join(again.said)
    finally:
        again.stop()
