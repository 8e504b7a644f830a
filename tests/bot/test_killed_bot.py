"""The bot's process is killed at the worst moments: nothing is lost, nothing is said twice."""

from __future__ import annotations

import threading

import pytest

from tests.bot import drawing
from tests.bot.processes import Processes
from tests.bot.studio import Studio

POST = ("POST", "/channels/{channel_id}/messages")


@pytest.fixture
def studio(studio_apart: Studio) -> Studio:
    return studio_apart


def test_killed_between_posting_a_result_and_noting_it(studio: Studio, processes: Processes) -> None:
    studio.channel.nonce_memory_s = 0
    bot = processes.start_bot()
    studio.imagine()
    never = threading.Event()
    studio.server.faults.add(*POST, hold=never)
    drawing.draw(studio.backends)
    message = studio.picture()
    processes.kill(bot)
    never.set()
    (row,) = studio.deliveries()
    assert (row.state, row.message_id) == ("open", None)
    assert row.attempted_at is not None

    processes.start_bot()
    (row,) = studio.settled()
    assert (row.state, row.message_id) == ("done", message.id)
    assert len(studio.server.posts()) == 1
    assert studio.channel.shown() == [message], "and the progress message is gone"


def test_killed_while_a_job_runs_and_finished_meanwhile(studio: Studio, processes: Processes) -> None:
    bot = processes.start_bot()
    first = studio.imagine(studio.ada)
    second = studio.imagine(studio.bob, "a blue fish")
    processes.kill(bot)
    drawing.draw(studio.backends)
    drawing.claim(studio.backends)
    processes.start_bot()
    message = studio.picture()
    assert message.pinged == {studio.ada.id}
    studio.settled()
    assert first.original is not None
    assert first.original.id not in studio.channel.messages
    studio.wait(lambda: second.original and "(0%)" in second.original.content, what="the other's progress")


def test_old_buttons_work_after_the_kill(studio: Studio, processes: Processes) -> None:
    bot = processes.start_bot()
    grid = studio.grid()
    processes.kill(bot)
    processes.start_bot()
    interaction = studio.server.press(studio.bob, grid, "U3")
    message = studio.picture(2)
    assert interaction.took < 3
    assert message.pinged == {studio.bob.id}
    studio.settled()


def test_told_to_stop_it_ends_in_peace(studio: Studio, processes: Processes) -> None:
    bot = processes.start_bot()
    studio.grid()
    processes.stop(bot)
    assert "Traceback" not in processes.log("bot")
    assert studio.server.token not in processes.log("bot")
