"""Auto DM: finished jobs come by direct message too, each once; closed messages are told and left alone."""

from __future__ import annotations

import time

import pytest

from bot.messages import preferences
from storage import deliveries, members
from storage.tables import Delivery
from tests.bot import drawing
from tests.bot.discord_server import Refusal, User, rate_limited
from tests.bot.studio import Studio

POST = ("POST", "/channels/{channel_id}/messages")


@pytest.fixture
def wanted(studio: Studio) -> Studio:
    """Ada has it turned on."""
    turn_on(studio, studio.ada)
    return studio


def turn_on(studio: Studio, user: User) -> None:
    with studio.backends.database.writing() as session:
        members.change_settings(session, user.id, auto_dm=True)


def copies(studio: Studio) -> list[Delivery]:
    return [row for row in studio.settled() if row.kind == deliveries.DIRECT]


def test_a_finished_job_comes_to_both_places(wanted: Studio) -> None:
    wanted.imagine()
    drawing.draw(wanted.backends)
    here = wanted.picture()
    (copy,) = copies(wanted)
    (there,) = wanted.pictures(wanted.server.dm(wanted.ada))
    assert there.content == here.content
    assert there.pinged == {wanted.ada.id}
    assert [button["custom_id"] for button in there.buttons] == [
        button["custom_id"] for button in here.buttons
    ]
    assert (copy.state, copy.message_id) == ("done", there.id)
    assert copy.interaction_token is None, "the secret is wiped"


def test_only_for_whom_it_is_on(wanted: Studio) -> None:
    wanted.imagine(wanted.bob)
    drawing.draw(wanted.backends)
    wanted.picture()
    assert copies(wanted) == []


def test_what_is_asked_in_direct_messages_comes_once(studio: Studio) -> None:
    dm = studio.server.dm(User("carol"))
    assert dm.recipient is not None
    turn_on(studio, dm.recipient)
    studio.imagine(dm.recipient, channel=dm)
    drawing.draw(studio.backends)
    message = studio.picture(channel=dm)
    assert copies(studio) == []
    assert dm.shown() == [message]


def test_failures_and_stops_come_to_their_place_alone(wanted: Studio) -> None:
    wanted.imagine()
    drawing.fail(wanted.backends)
    assert copies(wanted) == []
    assert wanted.server.dm(wanted.ada).shown() == []


def test_a_cut_answer_is_not_sent_twice(wanted: Studio) -> None:
    dm = wanted.server.dm(wanted.ada)
    dm.nonce_memory_s = 0
    wanted.imagine()
    taken = drawing.claim(wanted.backends)
    wanted.server.faults.add(*POST, cut=True, times=2)
    drawing.finish(wanted.backends, taken)
    (copy,) = copies(wanted)
    assert copy.state == "done"
    assert len(wanted.pictures(dm)) == 1
    assert len(wanted.pictures()) == 1


def test_a_bot_that_was_away_sends_it_when_it_is_back(wanted: Studio) -> None:
    wanted.imagine()
    taken = drawing.claim(wanted.backends)
    wanted.stop_bot()
    drawing.finish(wanted.backends, taken)
    wanted.start_bot()
    assert [copy.state for copy in copies(wanted)] == ["done"]
    assert len(wanted.pictures(wanted.server.dm(wanted.ada))) == 1


def test_closed_messages_are_told_once_and_not_tried_again(wanted: Studio) -> None:
    wanted.ada.closed_dms = True
    interaction = wanted.imagine()
    drawing.draw(wanted.backends)
    wanted.picture()
    (copy,) = copies(wanted)
    assert copy.state == "given_up"
    assert copy.error is not None
    (told,) = interaction.followups
    assert told.ephemeral
    assert told.content == preferences.closed_messages()
    assert len(wanted.pictures()) == 1
    tries = len(wanted.server.posts(wanted.server.dm(wanted.ada)))
    time.sleep(2)
    assert len(wanted.server.posts(wanted.server.dm(wanted.ada))) == tries == 1


def test_a_member_who_is_not_to_be_reached_is_given_up(wanted: Studio) -> None:
    wanted.server.faults.add(
        "POST", "/users/@me/channels", refusal=Refusal(403, 50007, "Cannot send messages to this user")
    )
    wanted.imagine()
    drawing.draw(wanted.backends)
    wanted.picture()
    (copy,) = copies(wanted)
    assert copy.state == "given_up"


def test_what_discord_delays_is_tried_again(wanted: Studio) -> None:
    limited = rate_limited(0.3, via=False)
    fault = wanted.server.faults.add("POST", "/users/@me/channels", refusal=limited, times=2)
    wanted.imagine()
    drawing.draw(wanted.backends)
    wanted.picture()
    assert [copy.state for copy in copies(wanted)] == ["done"]
    assert fault.met == 2


def test_a_result_that_lost_its_channel_does_not_come_twice(wanted: Studio) -> None:
    """Without its copy it would come by direct message instead."""
    wanted.imagine()
    taken = drawing.claim(wanted.backends)
    wanted.change_job(taken.job_id, token_expires_at=1)
    wanted.server.delete_channel(wanted.channel)
    drawing.finish(wanted.backends, taken)
    (copy,) = copies(wanted)
    assert copy.state == "done"
    assert len(wanted.server.dm(wanted.ada).shown()) == 1


def test_a_stealth_job_comes_too(wanted: Studio) -> None:
    wanted.imagine(prompt="a red castle --stealth")
    drawing.draw(wanted.backends)
    assert [copy.state for copy in copies(wanted)] == ["done"]
    (there,) = wanted.pictures(wanted.server.dm(wanted.ada))
    assert "stealth" in there.content
    assert wanted.channel.shown() == []
