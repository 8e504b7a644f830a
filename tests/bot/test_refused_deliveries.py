"""What may not be posted any more when its turn comes: also on a second try, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import update

from bot.messages import refusals
from storage import deliveries, members, moderation, words
from storage.database import now
from storage.tables import Delivery
from tests.bot import drawing
from tests.bot.discord_server import Interaction, Refusal
from tests.bot.discord_server.faults import missing_access
from tests.bot.studio import PROMPT, Studio

MOD = 99
POST = ("POST", "/channels/{channel_id}/messages")
DIRECT_CHANNEL = ("POST", "/users/@me/channels")
CLOSED = Refusal(403, 50007, "Cannot send messages to this user")
FORBIDDEN = refusals.words_not_posted(["castle"])


def forbid(studio: Studio) -> None:
    with studio.backends.database.writing() as session:
        words.forbid(session, studio.guild.id, MOD, "castle")


def ban(studio: Studio) -> None:
    who = {"member_id": studio.ada.id, "guild_id": studio.guild.id, "by": MOD}
    with studio.backends.database.writing() as session:
        moderation.ban(session, **who, reason="a private matter", expires_at=None)


def without_safety(studio: Studio) -> None:
    studio.backends.config = studio.backends.config.model_copy(update={"safety": "off"})


def finished_meanwhile(studio: Studio, **columns: object) -> Interaction:
    """A result that waits for the bot, which is stopped."""
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.stop_bot()
    drawing.finish(studio.backends, taken)
    if columns:
        with studio.backends.database.writing() as session:
            session.execute(update(Delivery).values(due_at=0, **columns))
    return interaction


@pytest.mark.parametrize("impose", [forbid, ban])
@pytest.mark.parametrize("attempted", [False, True], ids=["first try", "killed before it posted"])
def test_a_result_goes_home(studio: Studio, impose: Callable[[Studio], None], attempted: bool) -> None:
    with studio.backends.database.reading() as session:
        at = now(session)
    killed = {"attempted_at": at, "attempted_by": deliveries.CHANNEL, "tries": 1}
    finished_meanwhile(studio, **(killed if attempted else {}))
    impose(studio)
    studio.start_bot()
    (row,) = studio.settled()
    assert row.state == "done"
    assert studio.channel.shown() == []
    assert len(studio.pictures(studio.server.dm(studio.ada))) == 1


def test_a_second_try_after_an_uncertain_one_asks_again(studio: Studio) -> None:
    studio.imagine()
    erred = studio.server.faults.add(*POST, refusal=Refusal(503, 0, "Service Unavailable"), times=1)
    taken = drawing.claim(studio.backends)
    drawing.finish(studio.backends, taken)
    studio.wait(lambda: erred.met, what="an uncertain post")
    forbid(studio)
    studio.settled()
    assert studio.pictures() == []


def test_an_answer_that_was_filled_in_is_emptied(studio: Studio) -> None:
    """The bot died before it could note it, and the words were forbidden since."""
    interaction = studio.imagine(prompt=f"{PROMPT} --stealth")
    drawing.draw(studio.backends)
    studio.settled()
    assert interaction.original is not None
    assert interaction.original.files
    studio.stop_bot()
    job = studio.job_of(interaction)
    again = {"state": "open", "message_id": None, "due_at": 0, "interaction_token": interaction.token}
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(**again))
    studio.change_job(job.id, interaction_token=interaction.token)
    forbid(studio)
    studio.server.faults.add(*DIRECT_CHANNEL, refusal=CLOSED)
    studio.start_bot()
    (row,) = studio.settled()
    assert row.state == "given_up"
    assert not interaction.original.files
    assert interaction.original.content.endswith(FORBIDDEN)


@pytest.mark.parametrize(("impose", "sentence"), [(forbid, FORBIDDEN), (ban, refusals.banned("", None))])
def test_a_result_that_cannot_go_home_says_why(
    studio: Studio, impose: Callable[[Studio], None], sentence: str
) -> None:
    """In the progress's place, where everybody reads it: neither `/show` nor what is for its member alone."""
    finished_meanwhile(studio)
    impose(studio)
    studio.server.faults.add(*DIRECT_CHANNEL, refusal=CLOSED)
    studio.start_bot()
    (row,) = studio.settled()
    (said,) = studio.channel.shown()
    assert row.state == "given_up"
    assert not said.files
    assert said.content.endswith(sentence)


def test_without_a_safety_check_nothing_goes_home(studio: Studio) -> None:
    finished_meanwhile(studio)
    forbid(studio)
    without_safety(studio)
    studio.start_bot()
    (row,) = studio.settled()
    (said,) = studio.channel.shown()
    assert row.state == "given_up"
    assert said.content.endswith(FORBIDDEN)
    assert studio.server.dm(studio.ada).shown() == []


def test_without_a_safety_check_a_lost_channel_is_no_way_home(studio: Studio) -> None:
    finished_meanwhile(studio)
    without_safety(studio)
    studio.change_job(1, token_expires_at=1)
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(token_expires_at=1))
    studio.server.faults.add(*POST, refusal=missing_access())
    studio.start_bot()
    (row,) = studio.settled()
    assert row.state == "given_up"
    assert studio.server.dm(studio.ada).shown() == []


def test_without_a_safety_check_there_is_no_copy_and_nothing_is_said_of_it(studio: Studio) -> None:
    with studio.backends.database.writing() as session:
        members.change_settings(session, studio.ada.id, auto_dm=True)
    interaction = studio.imagine()
    without_safety(studio)
    opened = studio.server.faults.add(*DIRECT_CHANNEL, refusal=CLOSED)
    drawing.draw(studio.backends)
    studio.settled()
    assert len(studio.pictures()) == 1
    assert interaction.followups == []
    assert not opened.met


@pytest.mark.parametrize("way", ["U", "/show"])
def test_what_was_asked_for_by_a_press_says_why_not(studio: Studio, way: str) -> None:
    """Privately: between the press and its post a word was forbidden."""
    grid = studio.grid()
    erred = studio.server.faults.add(*POST, refusal=Refusal(429, 0, "Slow down", retry_after=1), times=1)
    if way == "U":
        asked = studio.server.press(studio.ada, grid, "U1")
    else:
        asked = studio.server.slash(studio.ada, studio.channel, "show", job_id=1)
    studio.wait(lambda: erred.met, what="a post")
    forbid(studio)
    *_, row = studio.settled()
    assert row.state == "given_up"
    said = asked.followups[-1]
    assert said.ephemeral
    assert said.content == FORBIDDEN
    assert studio.pictures() == [grid]
