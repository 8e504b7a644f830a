"""A new user's first minute, in a real browser, and the next day's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.easel.demo_page import (
    Demo,
    ask,
    browser_page,
    button,
    chromium,
    expect_finished,
    expect_text,
    wait_for_pictures,
)

pytestmark = pytest.mark.timeout(900)


def test_typing_a_prompt_and_pressing_u1_then_again_after_a_restart(tmp_path: Path) -> None:
    chromium()
    demo = Demo(tmp_path / "data")
    try:
        with browser_page() as page:
            page.goto(demo.address())
            ask(page, "a red castle on green hills at night --ar 3:2 --seed 60")
            expect_text(page, "a red castle on green hills at night")
            button(page, "U1")
            expect_text(page, "Image #1")
            expect_finished(page)
            grid, single = wait_for_pictures(page, 2)[-2:]
            assert grid[0] > grid[1], "--ar 3:2 is wider than high"
            assert grid[0] > single[0], "a grid shows more than one picture"
            button(page, "U2")
            expect_text(page, "Image #2")
        assert demo.stop() == 0, "".join(demo.said)
    finally:
        demo.stop()
    assert "Traceback" not in "".join(demo.said)

    again = Demo(tmp_path / "data")
    try:
        with browser_page() as page:
            page.goto(again.address())
            assert len(wait_for_pictures(page, 3)) == 3, "yesterday's pictures are there"
            button(page, "U3")
            expect_text(page, "Image #3")
            assert len(wait_for_pictures(page, 4)) == 4
        assert again.stop() == 0
    finally:
        again.stop()
