"""Discord errs, limits, forgets and cuts the line: no result is lost, and none is posted twice."""

from __future__ import annotations

import threading
import time

import pytest

from bot.delivery import at_most_once, worker
from storage import attempts, deliveries
from storage.attempts import Claim
from storage.contract import ErrorCode
from tests.bot import drawing
from tests.bot.discord_server import Message, Refusal, rate_limited
from tests.bot.discord_server.world import ATTACH_FILES, READ_MESSAGE_HISTORY, SEND_MESSAGES
from tests.bot.studio import Studio

POST = ("POST", "/channels/{channel_id}/messages")
UNAVAILABLE = Refusal(503, 0, "Service Unavailable")


def claimed_with_dead_token(studio: Studio) -> Claim:
    """A job that runs long after its token has died."""
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.change_job(taken.job_id, token_expires_at=1)
    return taken


def only_picture(studio: Studio) -> Message:
    studio.settled()
    (message,) = studio.pictures()
    assert message.pinged == {studio.ada.id}
    return message


def test_an_answer_that_was_cut_off_is_looked_for_and_not_posted_again(studio: Studio) -> None:
    studio.server.faults.add(*POST, cut=True)
    studio.channel.nonce_memory_s = 0
    studio.imagine()
    drawing.draw(studio.backends)
    message = only_picture(studio)
    assert len(studio.server.posts()) == 1
    assert studio.deliveries()[0].message_id == message.id


def test_the_right_message_is_found_among_others(studio: Studio) -> None:
    """The same picture was picked before, by another member and by the same one."""
    grid = studio.grid()
    for number, user in enumerate((studio.bob, studio.ada), 2):
        studio.server.press(user, grid, "U1")
        studio.picture(number)
        studio.settled()
    time.sleep(3.1)  # the same press again within three seconds would be the same one
    studio.server.faults.add(*POST, cut=True)
    studio.channel.nonce_memory_s = 0
    studio.server.press(studio.ada, grid, "U1")
    studio.picture(4)
    studio.settled()
    assert len(studio.pictures()) == 4
    assert len({row.message_id for row in studio.deliveries()}) == 4


def test_what_was_not_posted_is_posted_after_looking(studio: Studio) -> None:
    studio.server.faults.add(*POST, refusal=UNAVAILABLE, times=2)
    studio.imagine()
    drawing.draw(studio.backends)
    only_picture(studio)
    assert [call.status for call in studio.server.posts()] == [503, 503, 200]
    looked = [call for call in studio.server.calls if call.method == "GET" and call.template == POST[1]]
    assert len(looked) == 2


@pytest.mark.parametrize("via", [True, False], ids=["rate limited", "banned by Cloudflare"])
def test_a_rate_limit_delays_and_loses_nothing(studio: Studio, via: bool) -> None:
    studio.server.faults.add(*POST, refusal=rate_limited(0.3, via=via), times=2)
    studio.imagine()
    drawing.draw(studio.backends)
    only_picture(studio)


def test_errors_of_progress_edits_do_not_touch_the_result(studio: Studio) -> None:
    studio.server.faults.add("PATCH", "@original", refusal=rate_limited(1, via=False), times=9)
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.5)
    drawing.finish(studio.backends, taken)
    only_picture(studio)


def test_lost_permissions_while_the_token_lives(studio: Studio) -> None:
    interaction = studio.imagine()
    studio.channel.bot_permissions &= ~SEND_MESSAGES
    drawing.draw(studio.backends)
    studio.settled()
    (message,) = studio.pictures()
    assert interaction.original is message


def test_lost_permissions_after_the_token_died_go_to_direct_messages(studio: Studio) -> None:
    taken = claimed_with_dead_token(studio)
    studio.channel.bot_permissions &= ~ATTACH_FILES
    drawing.finish(studio.backends, taken)
    studio.settled()
    (message,) = studio.pictures(studio.server.dm(studio.ada))
    assert f"<#{studio.channel.id}>" in message.content
    assert message.pinged == {studio.ada.id}
    assert studio.pictures() == []


def test_a_deleted_channel_sends_the_result_to_direct_messages(studio: Studio) -> None:
    taken = claimed_with_dead_token(studio)
    studio.server.delete_channel(studio.channel)
    drawing.finish(studio.backends, taken)
    studio.settled()
    assert len(studio.pictures(studio.server.dm(studio.ada))) == 1


def test_a_failure_in_a_deleted_channel_is_told_in_direct_messages(studio: Studio) -> None:
    taken = claimed_with_dead_token(studio)
    studio.server.delete_channel(studio.channel)
    with studio.backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.OUT_OF_MEMORY, "by hand", retry=False)
    studio.settled()
    (message,) = studio.server.dm(studio.ada).shown()
    assert "memory" in message.content


def test_closed_direct_messages_end_the_attempts(studio: Studio) -> None:
    studio.ada.closed_dms = True
    taken = claimed_with_dead_token(studio)
    studio.server.delete_channel(studio.channel)
    job = drawing.finish(studio.backends, taken)
    (row,) = studio.settled()
    assert row.state == "given_up"
    assert row.error is not None
    assert drawing.images(studio.backends, job.id), "/history still has it"


def test_where_nothing_may_be_posted_the_progress_message_says_how_to_see_it(studio: Studio) -> None:
    studio.ada.closed_dms = True
    taken = claimed_with_dead_token(studio)
    (progress,) = studio.channel.shown()
    studio.channel.bot_permissions &= ~SEND_MESSAGES
    drawing.finish(studio.backends, taken)
    (row,) = studio.settled()
    assert row.state == "given_up"
    assert "/show" in progress.content


def test_a_cut_direct_message_is_not_sent_twice(studio: Studio) -> None:
    taken = claimed_with_dead_token(studio)
    studio.server.delete_channel(studio.channel)
    dm = studio.server.dm(studio.ada)
    dm.nonce_memory_s = 0
    fault = studio.server.faults.add(*POST, refusal=Refusal(404, 10003, "Unknown Channel"))
    studio.server.faults.add(*POST, cut=True)
    drawing.finish(studio.backends, taken)
    studio.settled()
    assert fault.met == 1
    assert len(studio.pictures(dm)) == 1


def test_without_the_history_a_nonce_keeps_it_single(studio: Studio) -> None:
    studio.imagine()
    studio.channel.bot_permissions &= ~READ_MESSAGE_HISTORY
    studio.server.faults.add(*POST, cut=True)
    drawing.draw(studio.backends)
    only_picture(studio)
    assert len(studio.server.posts()) == 2


def test_without_history_and_nonce_the_member_is_told_where_to_look(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_most_once, "NONCE_MS", 0)
    studio.channel.nonce_memory_s = 0
    interaction = studio.imagine()
    studio.channel.bot_permissions &= ~READ_MESSAGE_HISTORY
    studio.server.faults.add(*POST, cut=True)
    drawing.draw(studio.backends)
    (row,) = studio.settled()
    assert len(studio.pictures()) == 1
    assert row.state == "given_up"
    assert interaction.original is not None
    assert "/show" in interaction.original.content


def test_where_only_the_member_installed_easel_a_cut_edit_is_repeated(studio: Studio) -> None:
    channel = studio.server.guild("elsewhere", studio.ada, has_bot=False).channel("theirs")
    interaction = studio.imagine(channel=channel)
    cut = studio.server.faults.add("PATCH", "@original", cut=True)
    drawing.draw(studio.backends)
    studio.settled()
    assert cut.met == 1
    assert studio.pictures(channel) == [interaction.original]
    assert interaction.followups == []


def test_a_reply_needs_the_history_and_a_message_does_not(studio: Studio) -> None:
    grid = studio.grid()
    studio.channel.bot_permissions &= ~READ_MESSAGE_HISTORY
    studio.server.press(studio.ada, grid, "U1")
    assert studio.picture(2).reference is None
    studio.settled()


def test_a_result_that_was_deleted_at_once_is_not_posted_again(studio: Studio) -> None:
    studio.server.faults.add(*POST, refusal=Refusal(404, 10008, "Unknown Message"))
    studio.imagine()
    drawing.draw(studio.backends)
    (row,) = studio.settled()
    assert row.state == "done"
    assert len(studio.server.posts()) == 1


def test_two_bots_on_one_database_post_each_result_once(studio: Studio) -> None:
    studio.channel.nonce_memory_s = 0
    bot = studio.start_another()
    for number in range(6):
        studio.imagine(studio.ada if number % 2 else studio.bob, f"a castle number {number}")
    for _ in range(6):
        drawing.draw(studio.backends)
    studio.picture(6)
    studio.settled()
    assert len(studio.pictures()) == 6
    bot.stop()


def test_a_delivery_that_discord_never_takes_is_given_up(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_most_once, "INVALID_TRIES", 1)
    studio.server.faults.add(*POST, refusal=Refusal(400, 50035, "Invalid Form Body"), times=9)
    interaction = studio.imagine()
    drawing.draw(studio.backends)
    (row,) = studio.settled()
    assert row.state == "given_up"
    assert interaction.original is not None
    assert "/show" in interaction.original.content, "no silence"


def test_a_slow_request_keeps_its_delivery(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way is not taken by another bot, however long Discord takes."""
    monkeypatch.setattr(deliveries, "HOLD_MS", 5_000)
    monkeypatch.setattr(worker, "RENEW_S", 0.3)
    answer = threading.Event()
    studio.server.faults.add(*POST, hold=answer)
    studio.imagine()
    drawing.draw(studio.backends)
    studio.wait(lambda: studio.server.posts())
    (taken,) = studio.deliveries()
    studio.wait(lambda: time.time() * 1000 > taken.due_at + 1_000, what="the end of the first hold")
    with studio.backends.database.writing() as session:
        assert deliveries.take(session, 5, 1000) == []
    answer.set()
    only_picture(studio)
