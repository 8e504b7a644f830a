"""What is seen of a job while it waits and runs."""

from __future__ import annotations

import io
import threading
import time
from itertools import pairwise

import PIL.Image
import pytest

from bot.delivery import progress
from bot.discord_io import posting
from storage import attempts
from storage.contract import JobState
from tests.bot import drawing
from tests.bot.discord_server import Interaction, Message, Refusal, User, expired_token
from tests.bot.discord_server.faults import unknown_message, unknown_webhook
from tests.bot.discord_server.judge import Call
from tests.bot.studio import PROMPT, Studio

ORIGINAL = "/messages/@original"
CHANNEL_MESSAGE = "/channels/{channel_id}/messages/{message_id}"


def preview(colour: str = "red") -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), colour).save(out, "WEBP")
    return out.getvalue()


def original(interaction: Interaction) -> Message:
    assert interaction.original is not None
    return interaction.original


def edits(studio: Studio) -> list[Call]:
    return [call for call in studio.server.calls if call.method == "PATCH"]


def until_says(studio: Studio, interaction: Interaction, words: str, timeout_s: float = 60) -> Message:
    studio.wait(lambda: words in original(interaction).content, timeout_s, what=words)
    return original(interaction)


def test_a_running_job_shows_percent_preview_and_a_button_to_stop_it(studio: Studio) -> None:
    interaction = studio.imagine()
    waiting = original(interaction)
    assert waiting.content == f"**{PROMPT}** - <@{studio.ada.id}> (Waiting to start)"
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.31, preview())
    message = until_says(studio, interaction, "(31%)")
    assert message is waiting
    assert message.content == f"**{PROMPT}** - <@{studio.ada.id}> (31%) (fast)"
    (file,) = message.files
    assert file.filename.endswith(".webp")
    assert PIL.Image.open(io.BytesIO(file.data)).format == "WEBP"
    assert [button["label"] for button in message.buttons] == ["Cancel Job"]


def test_edits_keep_apart_and_show_the_newest(studio: Studio) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    end = time.monotonic() + 2.5 * progress.EVERY_S
    step = 0
    while time.monotonic() < end or len(edits(studio)) < 2:
        step += 1
        studio.progress(taken, step / 1000, preview())
        time.sleep(0.02)
    studio.progress(taken, 0.99)
    until_says(studio, interaction, "(99%)")
    gaps = [later.at - earlier.at for earlier, later in pairwise(edits(studio))]
    assert min(gaps) >= progress.EVERY_S


def test_a_slow_edit_holds_up_nothing_and_leaves_no_queue(studio: Studio) -> None:
    studio.imagine(studio.ada)
    other = studio.imagine(studio.bob)
    slow, quick = drawing.claim(studio.backends), drawing.claim(studio.backends)
    answer = threading.Event()
    studio.server.faults.add("PATCH", ORIGINAL, hold=answer)
    studio.progress(slow, 0.1)
    studio.wait(lambda: edits(studio))
    studio.progress(quick, 0.2)
    until_says(studio, other, "(20%)")
    for percent in range(20, 60):
        studio.progress(slow, percent / 100)
    studio.progress(quick, 0.6)
    until_says(studio, other, "(60%)")  # events come in order: the bot has heard of 59% too
    before = len(studio.server.calls)
    answer.set()
    studio.wait(lambda: any("(59%)" in str(call) for call in studio.server.calls[before:]))
    time.sleep(0.3)
    of_slow = [call for call in studio.server.calls[before:] if call.method == "PATCH"]
    assert len(of_slow) == 1


def test_the_result_has_the_last_word(studio: Studio) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    answer = threading.Event()
    fault = studio.server.faults.add("PATCH", ORIGINAL, hold=answer)
    studio.progress(taken, 0.9)
    studio.wait(lambda: fault.met == 1)
    drawing.finish(studio.backends, taken)
    studio.picture()
    studio.progress(taken, 0.95)
    answer.set()
    studio.settled()
    time.sleep(0.3)
    assert original(interaction).id not in studio.channel.messages
    methods = [call.method for call in studio.server.calls if call.template.endswith(ORIGINAL)]
    assert methods == ["PATCH", "DELETE"], "no edit after the message was removed"


def test_a_stale_workers_progress_is_not_shown(studio: Studio) -> None:
    interaction = studio.imagine()
    lost = drawing.claim(studio.backends)
    with studio.backends.database.writing() as session:
        attempts.requeue(session, lost.job_id, lost.attempt)
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.2)
    until_says(studio, interaction, "(20%)")
    studio.progress(lost, 0.8)
    studio.progress(taken, 0.21)
    until_says(studio, interaction, "(21%)")
    assert all("(80%)" not in version.content for version in original(interaction).versions)


def test_a_job_told_to_stop_says_so_until_it_has(studio: Studio) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.4, preview())
    message = until_says(studio, interaction, "(40%)")
    studio.server.press(studio.ada, message, "Cancel Job")
    until_says(studio, interaction, "(Stopping)")
    assert len(message.files) == 1
    with studio.backends.database.writing() as session:
        attempts.stopped(session, taken.job_id, taken.attempt)
    until_says(studio, interaction, "(Stopped)")
    assert message.buttons == []
    assert len(message.files) == 1, "what was drawn stays"
    studio.settled()


def test_a_token_near_its_end_is_handed_over_to_the_channel(studio: Studio) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    soon = int((time.time() + posting.HANDOVER_MS / 1000 - 1) * 1000)
    studio.change_job(taken.job_id, token_expires_at=soon)
    studio.progress(taken, 0.5)
    until_says(studio, interaction, "(50%)")
    said = [call.template for call in studio.server.calls if "(50%)" in str(call.payload)]
    assert said == [CHANNEL_MESSAGE]


def test_a_waiting_job_whose_message_is_unknown_is_handed_over_in_time(studio: Studio) -> None:
    interaction = studio.imagine()
    studio.stop_bot()
    job = studio.job_of(interaction)
    soon = int((time.time() + posting.HANDOVER_MS / 1000 - 1) * 1000)
    studio.change_job(job.id, token_expires_at=soon, progress_message_id=None, created_at=0)
    studio.start_bot()
    studio.wait(lambda: studio.job_of(interaction).progress_message_id == original(interaction).id)


def test_where_easel_may_not_post_the_member_is_told_before_the_token_ends(studio: Studio) -> None:
    channel = studio.server.guild("elsewhere", studio.ada, has_bot=False).channel("theirs")
    interaction = studio.imagine(channel=channel)
    taken = drawing.claim(studio.backends)
    soon = int((time.time() + posting.HANDOVER_MS / 1000 - 1) * 1000)
    studio.change_job(taken.job_id, token_expires_at=soon)
    studio.progress(taken, 0.5)
    until_says(studio, interaction, "direct message")
    studio.change_job(taken.job_id, token_expires_at=1)
    drawing.finish(studio.backends, taken)
    studio.settled()
    assert len(studio.pictures(studio.server.dm(studio.ada))) == 1


def test_an_answer_is_not_repeated_as_progress(studio: Studio) -> None:
    studio.imagine()
    time.sleep(0.5)
    assert edits(studio) == []


@pytest.mark.parametrize("refusal", [expired_token(), unknown_webhook()], ids=str)
def test_a_token_that_died_early_does_not_stop_the_progress(studio: Studio, refusal: Refusal) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    for method in ("PATCH", "DELETE"):
        studio.server.faults.add(method, ORIGINAL, refusal=refusal, times=99)
    studio.progress(taken, 0.5)
    until_says(studio, interaction, "(50%)")
    drawing.finish(studio.backends, taken)
    message = studio.picture()
    studio.settled()
    assert studio.channel.shown() == [message]


def test_progress_goes_on_after_a_restart(studio: Studio) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.3)
    until_says(studio, interaction, "(30%)")
    studio.stop_bot()
    studio.start_bot()
    studio.progress(taken, 0.7)
    until_says(studio, interaction, "(70%)")
    drawing.finish(studio.backends, taken)
    message = studio.picture()
    studio.settled()
    assert studio.channel.shown() == [message]


def test_what_was_missed_while_events_were_lost_is_read_again(studio: Studio) -> None:
    """A claim and a cancel of which no event came."""
    interaction = studio.imagine()
    studio.stop_bot()
    taken = drawing.claim(studio.backends)
    studio.start_bot()
    until_says(studio, interaction, "(0%)")
    assert studio.job_of(interaction).state == JobState.RUNNING
    assert taken.job_id == studio.job_of(interaction).id


def test_a_progress_message_that_was_deleted_is_left_alone(studio: Studio) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    fault = studio.server.faults.add("PATCH", ORIGINAL, refusal=unknown_message(), times=5)
    studio.progress(taken, 0.3)
    studio.wait(lambda: fault.met == 1)
    studio.progress(taken, 0.6)
    time.sleep(progress.EVERY_S + 0.5)
    assert fault.met == 1
    fault.times = 0
    drawing.finish(studio.backends, taken)
    assert studio.picture().pinged == {studio.ada.id}
    studio.settled()
    assert original(interaction).id not in studio.channel.messages


def test_direct_messages_show_progress(studio: Studio) -> None:
    dm = studio.server.dm(User("carol"))
    assert dm.recipient is not None
    interaction = studio.imagine(dm.recipient, channel=dm)
    studio.progress(drawing.claim(studio.backends), 0.3)
    until_says(studio, interaction, "(30%)")
