"""Posted once: however often a request, an answer or the tidying fails after it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import update

from storage import attempts, submissions
from storage.contract import ErrorCode
from storage.tables import Delivery
from tests.bot import drawing
from tests.bot.discord_server import Interaction, Message, Refusal
from tests.bot.discord_server.faults import missing_access, rate_limited, unknown_message
from tests.bot.studio import PROMPT, Studio
from tests.storage.asking import draft

POST = ("POST", "/channels/{channel_id}/messages")
FOLLOW_UP = ("POST", "/webhooks/{webhook_id}/{webhook_token}")
HIDDEN = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"
"""The address of an answer that only its member sees."""
GATEWAY = Refusal(504, 0, "Gateway Timeout")


def shown(interaction: Interaction) -> list[Message]:
    """The messages by an interaction's token that show finished pictures."""
    made = [message for message in (interaction.original, *interaction.followups) if message is not None]
    there = [message for message in made if message.id in interaction.channel.messages]
    return [one for one in there if one.files and len(one.buttons) > 1 and one is not interaction.message]


def test_a_result_whose_progress_cannot_be_deleted(studio: Studio) -> None:
    """It is noted at once, and tidying it never leads back to posting."""
    refused = Refusal(429, 0, "You are being rate limited.", retry_after=0.1)
    deleting = studio.server.faults.add("DELETE", "@original", refusal=refused, times=3)
    interaction = studio.imagine()
    drawing.draw(studio.backends)
    studio.wait(lambda: deleting.met, what="a refused deletion")
    (row,) = studio.deliveries()
    assert (row.state, row.message_id) == ("posted", studio.picture().id)
    (row,) = studio.settled()
    assert (row.state, deleting.met) == ("done", 3)
    assert row.attempted_at is not None, "nothing is forgotten"
    assert len(studio.server.posts()) == 1
    assert interaction.original is not None
    assert interaction.original.id not in studio.channel.messages


def test_a_stealth_copy_whose_answer_was_deleted_is_posted_once(studio: Studio) -> None:
    """By a new message then, which is noted though only its member sees it."""
    studio.server.faults.add("PATCH", HIDDEN, refusal=unknown_message())
    refused = Refusal(429, 0, "You are being rate limited.", retry_after=0.1)
    deleting = studio.server.faults.add("DELETE", HIDDEN, refusal=refused, times=2)
    interaction = studio.imagine(prompt=f"{PROMPT} --stealth")
    drawing.draw(studio.backends)
    studio.wait(lambda: shown(interaction), what="the pictures")
    studio.settled()
    assert deleting.met == 2
    assert shown(interaction) == interaction.followups


@pytest.mark.parametrize("stealth", [False, True], ids=["elsewhere", "stealth"])
def test_an_edit_of_the_answer_that_discord_did_before_it_erred(studio: Studio, stealth: bool) -> None:
    elsewhere = studio.server.guild("elsewhere", studio.ada, has_bot=False).channel("theirs")
    prompt, channel = (f"{PROMPT} --stealth", studio.channel) if stealth else (PROMPT, elsewhere)
    interaction = studio.imagine(prompt=prompt, channel=channel)
    erred = studio.server.faults.add("PATCH", HIDDEN if stealth else "@original", then=GATEWAY)
    drawing.draw(studio.backends)
    studio.settled()
    assert erred.met == 1
    assert shown(interaction) == [interaction.original]


def test_a_new_message_by_the_token_that_discord_made_before_it_erred(studio: Studio) -> None:
    """discord.py would send it again by itself, and there is no nonce that would keep it single."""
    grid_of = studio.imagine(prompt=f"{PROMPT} --stealth")
    drawing.draw(studio.backends)
    studio.wait(lambda: shown(grid_of), what="the grid")
    studio.settled()
    erred = studio.server.faults.add(*FOLLOW_UP, then=GATEWAY)
    pressed = studio.server.press(studio.ada, shown(grid_of)[0], "U2")
    studio.wait(lambda: len(pressed.followups) == 2, what="the picture, and a sentence")
    studio.settled()
    assert erred.met == 1
    assert len(shown(pressed)) == 1
    assert "/show" in pressed.followups[-1].content


def test_a_rate_limited_new_message_by_the_token_is_waited_for(studio: Studio) -> None:
    grid_of = studio.imagine(prompt=f"{PROMPT} --stealth")
    drawing.draw(studio.backends)
    studio.wait(lambda: shown(grid_of), what="the grid")
    studio.settled()
    limited = studio.server.faults.add(*FOLLOW_UP, refusal=rate_limited(0.2), times=2)
    pressed = studio.server.press(studio.ada, shown(grid_of)[0], "U2")
    studio.wait(lambda: shown(pressed), what="the picture")
    studio.settled()
    assert limited.met == 2
    assert len(pressed.followups) == 1


def test_a_closed_channel_and_an_edit_that_was_cut(studio: Studio) -> None:
    interaction = studio.imagine()
    studio.server.faults.add(*POST, refusal=missing_access(), times=100)
    studio.server.faults.add("GET", POST[1], refusal=missing_access(), times=100)
    cut = studio.server.faults.add("PATCH", "@original", cut=True)
    drawing.draw(studio.backends)
    studio.wait(lambda: shown(interaction), what="the pictures")
    studio.settled()
    assert cut.met == 1
    assert shown(interaction) == [interaction.original]


def test_a_closed_channel_and_a_new_message_that_was_cut(studio: Studio) -> None:
    interaction = studio.imagine()
    studio.server.faults.add(*POST, refusal=missing_access(), times=100)
    studio.server.faults.add("GET", POST[1], refusal=missing_access(), times=100)
    studio.server.faults.add("PATCH", "@original", refusal=unknown_message())
    cut = studio.server.faults.add(*FOLLOW_UP, cut=True)
    drawing.draw(studio.backends)
    studio.wait(lambda: shown(interaction), what="the pictures")
    studio.settled()
    assert cut.met == 1
    assert len(shown(interaction)) == 1


def test_two_like_failures_are_both_told(studio: Studio) -> None:
    """Of the second it is not known whether it was posted: what looks like it is the first."""
    studio.stop_bot()
    with studio.backends.database.writing() as session:
        for _ in range(2):
            where: dict[str, Any] = {"guild_id": studio.guild.id, "channel_id": studio.channel.id}
            submissions.submit(session, draft(studio.ada.id, text="a fox", **where))
    for _ in range(2):
        taken = drawing.claim(studio.backends)
        with studio.backends.database.writing() as session:
            attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.SOURCE_WITHHELD, "", retry=False)
    first = studio.server.faults.add(*POST)
    second = studio.server.faults.add(*POST, refusal=Refusal(520, 0, "nothing was posted"))
    studio.start_bot()
    studio.settled()
    assert (first.met, second.met) == (1, 1)
    told = [message.content for message in studio.channel.shown()]
    assert len(told) == 2
    assert len(set(told)) == 2, "each can be told from the other"


def test_a_sentence_that_was_cut_is_found_again(studio: Studio) -> None:
    studio.channel.nonce_memory_s = 0
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.change_job(taken.job_id, interaction_token=None, progress_message_id=None, created_at=0)
    studio.server.faults.add(*POST, cut=True)
    with studio.backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.OUT_OF_MEMORY, "by hand", retry=False)
    (row,) = studio.settled()
    assert len(studio.server.posts()) == 1
    assert studio.channel.messages[row.message_id or 0].content.endswith(f"-# {row.job_id}-{row.id}")


def test_a_picture_sent_home_that_discord_posted_before_it_erred(studio: Studio) -> None:
    """discord.py repeats what the bot posts by itself too; there a nonce keeps it single."""
    grid = studio.grid()
    studio.server.press(studio.ada, grid, "U1")
    single = studio.picture(2)
    studio.settled()
    erred = studio.server.faults.add(*POST, then=GATEWAY)
    pressed = studio.server.press(studio.ada, single, "✉️")
    studio.wait(lambda: pressed.original, what="an answer")
    assert erred.met == 1
    assert len(studio.server.dm(studio.ada).shown()) == 1


@pytest.mark.parametrize("limited", [False, True], ids=["at once", "after a limited try"])
def test_an_answer_filled_in_by_a_bot_that_came_back_too_late(studio: Studio, limited: bool) -> None:
    """Its token is over: nobody can look, so it is not posted elsewhere; the member is told of `/show`."""
    elsewhere = studio.server.guild("elsewhere", studio.ada, has_bot=False).channel("theirs")
    interaction = studio.imagine(channel=elsewhere)
    answer = threading.Event()
    studio.server.faults.add("PATCH", "@original", hold=answer)
    drawing.draw(studio.backends)
    studio.wait(lambda: shown(interaction), what="the pictures")
    studio.stop_bot()
    answer.set()
    if limited:
        refused = studio.server.faults.add("PATCH", "@original", refusal=rate_limited(1, via=False))
        _change_delivery(studio, due_at=0)
        studio.start_bot()
        studio.wait(lambda: refused.met and studio.deliveries()[0].error, what="a limited try")
        studio.stop_bot()
    _change_delivery(studio, due_at=0, token_expires_at=1)
    studio.change_job(1, token_expires_at=1)
    studio.start_bot()
    (row,) = studio.settled()
    assert row.state == "given_up"
    assert shown(interaction) == [interaction.original]
    (told,) = studio.server.dm(studio.ada).shown()
    assert not told.files
    assert "/show" in told.content


def _change_delivery(studio: Studio, **columns: int) -> None:
    with studio.backends.database.writing() as session:
        session.execute(update(Delivery).values(**columns))
