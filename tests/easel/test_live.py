"""The line that moves, and the log above it, on a console as wide as a terminal."""

from __future__ import annotations

import io
import logging
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from easel import live, logs
from generator.engine.meter import Histogram, Meter
from storage import config

LONG_MESSAGE = "a line of the log that is much longer than the terminal is wide, " * 3


@pytest.fixture
def meter() -> Meter:
    return Meter(torch.device("cpu"))


@pytest.fixture
def logging_to_stderr() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.set_up(config.load())
    yield
    root.handlers[:] = before
    root.setLevel(level)


def work(meter: Meter, ticks: int) -> None:
    for _ in range(ticks):
        meter.called(8, 0.02)
        meter.ticked(0.025)
    meter.holds(2, 1)


def lines_of(screen: io.StringIO) -> list[str]:
    """What a terminal would have shown, one entry for everything that was written on a line of its own."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def test_the_line_says_what_happened_since_the_last_one(meter: Meter) -> None:
    work(meter, 10)
    before = meter.read()
    work(meter, 40)
    now = replace(meter.read(), memory=replace(before.memory, weights=2_000_000, taken=3_500_000_000))
    assert live.line(before, now, 2.0) == (
        "2 drawing, 1 waiting · 8.0 rows a tick · 20.0 ticks a second · 40% in the UNet · "
        "3.5 GB, weights 2.0 MB"
    )
    nothing = replace(now, running=0, waiting=0)
    assert live.line(now, nothing, 1.0) == "idle · 3.5 GB, weights 2.0 MB"


def test_the_readings_own_sums_agree(meter: Meter) -> None:
    work(meter, 3)
    reading = meter.read()
    assert isinstance(reading.rows_a_call, Histogram)
    assert (reading.ticks, reading.calls, reading.rows) == (3, 3, 24)


@pytest.mark.usefixtures("logging_to_stderr")
def test_the_log_comes_out_whole_above_the_line(meter: Meter) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, force_interactive=True, width=80)
    with live.shown(meter, console, screen=0.05):
        work(meter, 5)
        time.sleep(0.2)
        logging.getLogger("easel.test").info(LONG_MESSAGE)
        time.sleep(0.2)
    shown = lines_of(screen)
    logged = [line for line in shown if LONG_MESSAGE.strip() in line]
    assert len(logged) == 1, "neither wrapped nor cut"
    assert logged[0].endswith(LONG_MESSAGE.strip())
    drawn = [index for index, line in enumerate(shown) if line.startswith("2 drawing, 1 waiting")]
    assert drawn[0] < shown.index(logged[0]) < drawn[-1], "the line is drawn again below"
    assert all(len(line) <= 80 for line in shown if line not in logged)
    assert screen.getvalue().endswith(("\x1b[2K", "\x1b[?25h")), "nothing of it is left"


@pytest.mark.usefixtures("logging_to_stderr")
def test_afterwards_the_log_goes_to_stderr_again(meter: Meter, capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(sys.stderr)
    with live.shown(meter, Console(file=screen, force_terminal=True, force_interactive=True)):
        logging.getLogger("easel.test").info("within")
    logging.getLogger("easel.test").info("after")
    assert "within" in screen.getvalue()
    error = capsys.readouterr().err
    assert "after" in error
    assert "within" not in error


def test_secrets_stay_out_of_it_too(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_BROKER_URL", "redis://:hunter2@redis:6379/0")
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.set_up(config.load())
    screen = io.StringIO()
    try:
        with live.shown(meter, Console(file=screen, force_terminal=True, force_interactive=True)):
            logging.getLogger("easel.test").warning("AUTH hunter2 refused")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert "AUTH *** refused" in screen.getvalue()


def test_without_a_terminal_work_is_logged_and_idleness_is_not(
    meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    screen = io.StringIO()
    with live.shown(meter, Console(file=screen, force_terminal=False), log=0.05):
        time.sleep(0.15)
        assert not caplog.records
        work(meter, 5)
        time.sleep(0.2)
    assert screen.getvalue() == ""
    assert len(caplog.records) == 1
    assert "8.0 rows a tick" in caplog.text


def test_the_line_says_that_no_jobs_are_taken(meter: Meter) -> None:
    reading = meter.read()
    assert live.line(reading, reading, 1.0, "pictures").startswith(
        "takes no jobs: too little room (pictures) · idle"
    )
