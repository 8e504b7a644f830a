"""The demo in a browser: a real `easel demo`, and headless Chromium that types and presses."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
START_S = 240
DRAW_MS = 240_000
"""Ample: on two busy cores a grid may take minutes."""


def chromium() -> str:
    """The browser's path; without one the test is skipped, and fails on CI."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        message = "no Chromium: apt-get install chromium, or say where it is with CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


class Demo:
    """`easel demo` in a process of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.said: list[str] = []
        """Its lines, each with the second at which it came."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "easel", "demo", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "EASEL_DATA_DIR": str(data_dir),
                "PYTHONUNBUFFERED": "1",
                "COLUMNS": "200",
            },
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        began = time.monotonic()
        for line in iter(self.process.stdout.readline, ""):
            self.said.append(f"{time.monotonic() - began:6.1f} s  {line}")

    def address(self) -> str:
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(r"http://127\.0\.0\.1:\d+/#\S+", "".join(self.said))
            if found:
                return found.group()
            time.sleep(0.1)
        raise AssertionError("the demo did not start:\n" + "".join(self.said))

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self._listener.join()
            assert self.process.stdout is not None
            self.process.stdout.close()


@contextmanager
def browser_page(width: int = 1280, height: int = 900) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


def type_line(page: Page, line: str) -> None:
    """Type a line key by key, past the list that opens at `/`, and press Enter."""
    _composer(page).click()
    page.keyboard.type(line, delay=5)
    _send(page)


def paste_line(page: Page, line: str) -> None:
    """The same with a line that comes whole from somewhere else."""
    _composer(page).click()
    page.keyboard.insert_text(line)
    _send(page)


def choose_command(page: Page, command: str, prompt: str) -> None:
    """Choose a command from the list that opens at `/`, then fill in its first option."""
    _composer(page).click()
    page.keyboard.type(command)
    page.keyboard.press("Enter")
    page.keyboard.type(prompt)
    page.keyboard.press("Enter")


def _composer(page: Page) -> Locator:
    return page.get_by_placeholder(re.compile("Message [#@]"))


def _send(page: Page) -> None:
    # While something else is under way, and when it has just opened, the page takes nothing.
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    page.keyboard.press("Enter")
    expect(_composer(page)).to_have_value("", timeout=DRAW_MS)


def choose_app(page: Page, entry: str, message: str) -> None:
    """Choose from the list below the newest message that says `message`."""
    wait_until_ready(page)
    shown = page.get_by_role("article").filter(has_text=message).last
    shown.get_by_role("combobox", name="Apps and reactions").click()
    page.get_by_role("option", name=entry).click()
    expect(page.get_by_role("option", name=entry)).to_have_count(0)


def wait_until_ready(page: Page) -> None:
    """Wait until the page shows its pictures, and nothing that was pressed before is under way."""
    page.locator("main[aria-busy=false]").wait_for(timeout=DRAW_MS)
    status = page.get_by_role("banner").get_by_role("status")
    expect(status).not_to_have_text(re.compile("…$"), timeout=DRAW_MS)


def look_as(page: Page, name: str | re.Pattern[str]) -> None:
    """Be somebody else, or read somebody's direct messages."""
    viewers = page.get_by_label("Viewing as")
    entry = viewers.get_by_role("option", name=name, exact=isinstance(name, str))
    entry.wait_for(state="attached")
    viewers.select_option(label=entry.inner_text())
    expect(_composer(page)).to_be_visible()


def watch(page: Page) -> tuple[list[int], int]:
    """The percentages that a job tells until it is finished, and in how many looks it showed a preview."""
    expect_text(page, "%)")
    told: list[int] = []
    previews = 0
    until = time.monotonic() + DRAW_MS / 1000
    before = len(picture_sizes(page))
    while page.get_by_role("button", name="Cancel Job", exact=True).count() and time.monotonic() < until:
        told += [int(part) for part in re.findall(r"\((\d+)%\)", page.inner_text("body"))]
        previews += len(picture_sizes(page)) > before
        page.wait_for_timeout(100)
    return told, previews


def button(page: Page, label: str, wait_ms: int = DRAW_MS) -> None:
    """Press the newest button of this label, once it is there."""
    newest = page.get_by_role("button", name=label, exact=True).last
    newest.wait_for(timeout=wait_ms)
    newest.click()


def picture_sizes(page: Page) -> list[tuple[int, int]]:
    """Width and height of every loaded picture in the channel, oldest first."""
    found = page.evaluate(
        "[...document.images].map(i => [i.naturalWidth, i.naturalHeight]).filter(([w]) => w >= 96)"
    )
    return [(width, height) for width, height in found]


def wait_for_pictures(page: Page, count: int) -> list[tuple[int, int]]:
    until = time.monotonic() + DRAW_MS / 1000
    while time.monotonic() < until:
        sizes = picture_sizes(page)
        if len(sizes) >= count:
            return sizes
        page.wait_for_timeout(200)
    came = page.evaluate(
        "[...document.images].map(i => [i.alt, i.hasAttribute('src'), i.complete, i.naturalWidth])"
    )
    raise AssertionError(f"not {count} pictures came, but {came}:\n{page.inner_text('body')}")


def expect_in_view(page: Page) -> None:
    """Expect the newest picture where its reader looks, and nothing on the page that looks like a crash."""
    newest = page.get_by_role("article").last.get_by_role("img").last
    expect(newest).to_be_in_viewport(ratio=0.95)
    # With a red badge it would be called "Inspector, 1 active warning or error".
    expect(page.get_by_role("button", name="Inspector", exact=True)).to_be_visible()


def expect_finished(page: Page) -> None:
    """Wait until no job's progress is shown: its previews are pictures too."""
    expect(page.get_by_role("button", name="Cancel Job", exact=True)).to_have_count(0, timeout=DRAW_MS)


def expect_text(page: Page, text: str, wait_ms: int = DRAW_MS) -> None:
    expect(page.get_by_text(text).last).to_be_visible(timeout=wait_ms)
