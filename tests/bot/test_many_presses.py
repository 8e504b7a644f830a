"""Many members press at once: each is answered in time, each double press is one job."""

from __future__ import annotations

import statistics

import pytest
from sqlalchemy import select

from storage.tables import Job, Member
from tests.bot import drawing
from tests.bot.discord_server import User, interactions
from tests.bot.discord_server.interactions import ANSWER_WITHIN_S, Interaction
from tests.bot.discord_server.world import LOADING
from tests.bot.processes import Processes
from tests.bot.studio import Studio

MEMBERS = 40
CROWD = 200
LONG_S = 400


@pytest.fixture
def studio(studio_apart: Studio) -> Studio:
    return studio_apart


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes late answers too, so that the test says how late they were."""
    monkeypatch.setattr(interactions, "ANSWER_WITHIN_S", 120.0)


def settled(studio: Studio, press: Interaction) -> bool:
    """The press is answered, and where the answer was to follow, it has followed or was taken back."""
    answer = press.original
    if press.answered is None or answer is None:
        return False
    return answer.id not in studio.channel.messages or not answer.flags & LOADING


def test_every_press_is_answered_and_every_double_press_is_one_job(
    studio: Studio, processes: Processes
) -> None:
    press_at_once(studio, processes, MEMBERS)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_two_hundred_are_answered_in_time(studio: Studio, processes: Processes) -> None:
    took = press_at_once(studio, processes, CROWD)
    print(f"answers took {statistics.median(took):.2f} s in the median, {max(took):.2f} s at most")
    assert max(took) < ANSWER_WITHIN_S, f"median {statistics.median(took):.2f} s"


def press_at_once(studio: Studio, processes: Processes, members: int) -> list[float]:
    """So many members press twice, and each is one job; returns the seconds until each answer."""
    processes.start_bot()
    studio.imagine()
    drawing.draw(studio.backends)
    grid = studio.picture()
    studio.settled()
    crowd = [User(f"member {number}") for number in range(members)]
    studio.guild.members.extend(crowd)
    presses = [studio.server.press(user, grid, "V1") for user in crowd for _ in range(2)]
    studio.wait(lambda: all(settled(studio, press) for press in presses), LONG_S, what="every answer")

    with studio.backends.database.reading() as session:
        made = list(session.scalars(select(Job.member_id).where(Job.parent_job_id.is_not(None))))
        waiting = {member.id: member.waiting for member in session.scalars(select(Member))}
    assert sorted(made) == sorted(user.id for user in crowd)
    assert all(waiting[user.id] == 1 for user in crowd)
    told = [message for message in studio.channel.shown() if "(Waiting to start)" in message.content]
    assert len(told) == members
    return [press.took for press in presses]
