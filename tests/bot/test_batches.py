"""Permutations and repeats: asked about, made once, told of in one message, cancelled as a whole."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.components import responses
from bot.delivery import progress
from bot.delivery.worker import POLL_S
from bot.discord_io import posting
from storage import attempts, batches, jobs
from storage.contract import ChangedEvent, ErrorCode, JobState, Task
from storage.tables import AuditEntry, Batch, Delivery, Job
from tests.bot import drawing
from tests.bot.discord_server import Interaction, Message, User
from tests.bot.discord_server.faults import unknown_message
from tests.bot.discord_server.interactions import COMPONENT
from tests.bot.discord_server.judge import Call
from tests.bot.discord_server.world import MANAGE_MESSAGES
from tests.bot.studio import Studio

TYPED = "a {red, blue, green} castle --seed 7"
TEXTS = ["a red castle --seed 7", "a blue castle --seed 7", "a green castle --seed 7"]


def ask(studio: Studio, prompt: str = TYPED, user: User | None = None, **where: Any) -> Interaction:
    """`/imagine`, answered with a question (or a sentence)."""
    channel = where.get("channel") or studio.channel
    interaction = studio.server.slash(user or studio.ada, channel, "imagine", prompt=prompt)
    studio.wait(lambda: interaction.original, what="an answer")
    return interaction


def original(interaction: Interaction) -> Message:
    assert interaction.original is not None
    return interaction.original


def confirm(studio: Studio, question: Interaction, user: User | None = None) -> Interaction:
    """Yes, answered with the progress message, its id in the row."""
    interaction = studio.server.press(user or studio.ada, original(question), "Yes")
    studio.wait(lambda: interaction.original and batch(studio).progress_message_id, what="progress")
    return interaction


def start(studio: Studio, prompt: str = TYPED) -> Message:
    return original(confirm(studio, ask(studio, prompt)))


def press(studio: Studio, user: User, message: Message, custom_id: str) -> Interaction:
    """A press of a button that the message need not have (any more), as a slow or forged client sends it."""
    button = {"type": 2, "style": 2, "label": "?", "custom_id": custom_id}
    seen = replace(message, components=[{"type": 1, "components": [button]}])
    data = {"component_type": 2, "custom_id": custom_id, "id": 1}
    return studio.server.interact(Interaction(user, message.channel, COMPONENT, data, seen))


def sentence(studio: Studio, interaction: Interaction) -> str:
    """The private answer to a press that could not be granted."""
    studio.wait(lambda: interaction.original, what="an answer")
    assert original(interaction).ephemeral
    return original(interaction).content


def batch(studio: Studio, number: int = 1) -> Batch:
    with studio.backends.database.reading() as session:
        return batches.get(session, number)


def children(studio: Studio, number: int = 1) -> list[Job]:
    with studio.backends.database.reading() as session:
        return batches.jobs_of(session, number)


def change_batch(studio: Studio, **values: Any) -> None:
    with studio.backends.database.writing() as session:
        row = batches.get(session, 1)
        for name, value in values.items():
            setattr(row, name, value)


def rows(studio: Studio, table: type[Job | Batch | AuditEntry | Delivery]) -> int:
    with studio.backends.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def until_says(studio: Studio, message: Message, words: str) -> None:
    studio.wait(lambda: words in message.content, 60, what=f"{words!r}, not {message.content!r}")


def until_finished(studio: Studio) -> None:
    studio.wait(lambda: batch(studio).state == batches.FINISHED, 60, what="the last word")


def test_permutations_are_asked_about_first(studio: Studio) -> None:
    question = original(ask(studio))
    assert question.ephemeral
    assert [button["label"] for button in question.buttons] == ["Yes", "No"]
    title, *lines = question.content.splitlines()
    assert title == "This makes 3 jobs:"
    assert lines[:3] == [f"- {text}" for text in TEXTS]
    assert rows(studio, Job) == 0
    assert studio.channel.shown() == []


def test_yes_makes_exactly_what_was_shown_and_one_public_message(studio: Studio) -> None:
    question = ask(studio)
    progress_message = original(confirm(studio, question))
    assert not progress_message.ephemeral
    assert progress_message.content.startswith("**a {red, blue, green} castle --seed 7** - ")
    assert f"<@{studio.ada.id}> (0 of 3 done" in progress_message.content
    assert [button["label"] for button in progress_message.buttons] == ["Cancel"]
    assert [job.text for job in children(studio)] == TEXTS
    assert {job.request["seed"] for job in children(studio)} == {7}
    studio.wait(lambda: original(question).buttons == [], what="the question without its buttons")
    assert original(question).content == "3 jobs were started."


def test_each_result_is_a_message_of_its_own_and_the_batch_counts_them(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SWEEP_S", 3600.0)  # what is told comes of events, not of looking around
    message = start(studio)
    drawing.draw(studio.backends)
    until_says(studio, message, "(1 of 3 done)")
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.1)
    until_says(studio, message, "(1 of 3 done, 1 drawing)")
    drawing.finish(studio.backends, taken)
    drawing.draw(studio.backends)
    until_says(studio, message, "(3 of 3 done)")
    until_finished(studio)
    studio.settled()
    grids = studio.pictures()
    assert len(grids) == 3
    assert {grid.pinged for grid in grids} == {frozenset({studio.ada.id})}
    assert sorted(grid.content.split("**")[1] for grid in grids) == sorted(TEXTS)
    assert message.id in studio.channel.messages, "it stays, as a summary"
    assert message.buttons == []
    assert all(not version.files for version in message.versions), "without previews"
    assert batch(studio).interaction_token is None


def test_a_job_that_fails_soon_after_it_began_is_counted_at_once(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SWEEP_S", 3600.0)
    message = start(studio, "a {red, blue} castle --seed 7")
    drawing.draw(studio.backends)
    until_says(studio, message, "(1 of 2 done)")
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.1)
    until_says(studio, message, "(1 of 2 done, 1 drawing)")
    studio.progress(taken, 0.2)
    with studio.backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.OUT_OF_MEMORY, "by hand", retry=False)
        failed = jobs.get(session, taken.job_id)
    studio.backends.events.publish(ChangedEvent(job_id=failed.id, sequence=failed.sequence))
    until_says(studio, message, "(1 of 2 done, 1 failed)")
    until_finished(studio)


def test_edits_of_a_busy_batch_keep_apart(studio: Studio) -> None:
    start(studio, "a {red, blue} castle --repeat 4")
    taken = drawing.claim(studio.backends)
    before = len(studio.server.calls)

    def edits() -> list[Call]:
        calls = [call for call in studio.server.calls[before:] if call.method == "PATCH"]
        return [call for call in calls if "done" in call.payload["content"]]

    end = time.monotonic() + 2.5 * progress.EVERY_S
    step = 0
    while time.monotonic() < end or len(edits()) < 2:
        step += 1
        studio.progress(taken, step / 1000)
        if step % 50 == 0 and len(children(studio)) > step // 50:
            drawing.draw(studio.backends)
        time.sleep(0.02)
    gaps = [later.at - earlier.at for earlier, later in pairwise(edits())]
    assert min(gaps) >= progress.EVERY_S


def test_no_starts_nothing(studio: Studio) -> None:
    question = ask(studio)
    studio.server.press(studio.ada, original(question), "No")
    studio.wait(lambda: original(question).content == "Nothing was started.", what="the answer")
    assert original(question).buttons == []
    assert (rows(studio, Job), batch(studio).state) == (0, batches.DECLINED)


def test_a_double_press_makes_one_batch(studio: Studio) -> None:
    question = original(ask(studio))
    presses = [press(studio, studio.ada, question, "e1:by:1") for _ in range(2)]
    studio.wait(lambda: all(one.answered for one in presses), what="both answers")
    studio.wait(lambda: batch(studio).progress_message_id, what="the progress message")
    assert len(children(studio)) == 3
    assert len(studio.channel.shown()) == 1


def test_a_late_second_press_is_told_that_it_is_done(studio: Studio) -> None:
    question = ask(studio)
    confirm(studio, question)
    change_batch(studio, confirmed_at=0)
    again = press(studio, studio.ada, original(question), "e1:by:1")
    assert sentence(studio, again).startswith("These jobs were started already")
    declined = press(studio, studio.ada, original(question), "e1:bn:1")
    assert sentence(studio, declined).startswith("These jobs were started already")
    assert len(children(studio)) == 3


def test_a_question_that_is_too_old(studio: Studio) -> None:
    question = ask(studio)
    change_batch(studio, expires_at=0)
    late = studio.server.press(studio.ada, original(question), "Yes")
    assert "more than 15 minutes old" in sentence(studio, late)
    assert rows(studio, Job) == 0


def test_only_who_asked_may_answer(studio: Studio) -> None:
    """Nobody else sees the question; whoever forges a press is refused."""
    question = ask(studio)
    for button in ("e1:by:1", "e1:bn:1", "e1:by:99"):
        assert sentence(studio, press(studio, studio.bob, original(question), button))
    assert (rows(studio, Job), batch(studio).state) == (0, batches.PROPOSED)


def test_the_question_survives_a_restart_and_makes_what_was_shown(studio: Studio) -> None:
    question = ask(studio, "a {red, blue} castle")
    seeds = [context["request"]["seed"] for context in batch(studio).planned]
    studio.stop_bot()
    studio.start_bot()
    confirm(studio, question)
    assert [job.text for job in children(studio)] == ["a red castle", "a blue castle"]
    assert [job.request["seed"] for job in children(studio)] == seeds
    studio.wait(lambda: original(question).buttons == [], what="the question without its buttons")


def test_repeats_of_a_fixed_seed_say_which_seeds_they_take(studio: Studio) -> None:
    question = ask(studio, "a red castle --seed 7 --repeat 3")
    assert "--seed" in original(question).content
    confirm(studio, question)
    assert [job.request["seed"] for job in children(studio)] == [7, 11, 15]


def test_more_than_forty_are_refused(studio: Studio) -> None:
    answer = ask(studio, "a {red, blue} castle --repeat 21")
    assert original(answer).ephemeral
    assert original(answer).buttons == []
    assert rows(studio, Batch) == 0
    question = ask(studio, "a {red, blue} castle --repeat 20")
    title, red, blue, blank, _ = original(question).content.splitlines()
    assert (title, red) == ("This makes 40 jobs:", "- a red castle (20 times)")
    assert (blue, blank) == ("- a blue castle (20 times)", "")
    confirm(studio, question)
    assert len(children(studio)) == 40


def test_a_question_shows_as_much_as_fits(studio: Studio) -> None:
    sets = ", ".join(f"castle {number}" for number in range(40))
    question = original(ask(studio, f"{'a *very* long prompt ' * 10} {{{sets}}}"))
    *_, more, _, _ = question.content.splitlines()
    shown = [line for line in question.content.splitlines() if line.startswith("- a ")]
    assert more == f"- and {40 - len(shown)} more"
    assert len(shown) > 5


def test_forbidden_words_in_one_permutation_refuse_all(studio: Studio) -> None:
    answer = ask(studio, "a {red castle, snuff film}")
    assert "Banned prompt" in original(answer).content
    assert rows(studio, Batch) == 0


@pytest.fixture
def quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no event tells is seen at once, and not after a quarter of a minute."""
    monkeypatch.setattr(progress, "SWEEP_S", POLL_S)


@pytest.mark.usefixtures("quick_sweeps")
def test_the_whole_batch_is_cancelled_with_one_button(studio: Studio) -> None:
    message = start(studio)
    taken = drawing.claim(studio.backends)
    until_says(studio, message, "1 drawing")
    other = studio.server.press(studio.bob, message, "Cancel")
    assert "somebody else's" in sentence(studio, other)
    studio.server.press(studio.ada, message, "Cancel")
    until_says(studio, message, "(0 of 3 done, 2 stopped, 1 stopping)")
    assert [button["label"] for button in message.buttons] == ["Stopping…"]
    with studio.backends.database.writing() as session:
        attempts.stopped(session, taken.job_id, taken.attempt)
    until_says(studio, message, "(0 of 3 done, 3 stopped)")
    until_finished(studio)
    studio.settled()
    assert studio.channel.shown() == [message], "those that were stopped need no message of their own"


def test_a_moderator_cancels_it_and_it_is_noted_once(studio: Studio) -> None:
    message = start(studio)
    studio.bob.permissions |= MANAGE_MESSAGES
    studio.server.press(studio.bob, message, "Cancel")
    until_says(studio, message, "(0 of 3 done, 3 stopped)")
    with studio.backends.database.reading() as session:
        (entry,) = session.scalars(select(AuditEntry))
    assert (entry.action, entry.actor_id, entry.target_id) == ("cancel_batch", studio.bob.id, studio.ada.id)


def test_one_of_it_is_cancelled_alone(studio: Studio) -> None:
    message = start(studio)
    second = children(studio)[1]
    press(studio, studio.ada, message, f"e1:c:{second.id}")
    until_says(studio, message, "1 stopped")
    assert [job.state for job in children(studio)] == ["queued", "cancelled", "queued"]


def test_one_that_fails_says_why_in_a_message_of_its_own(studio: Studio) -> None:
    message = start(studio)
    drawing.fail(studio.backends)
    drawing.draw(studio.backends, withheld=range(4))
    drawing.draw(studio.backends)
    until_says(studio, message, "(1 of 3 done, 1 failed, 1 withheld)")
    studio.settled()
    said = [other for other in studio.channel.shown() if other is not message]
    assert len(said) == 3
    assert any("not enough memory" in other.content for other in said)
    assert any("safety check withheld" in other.content for other in said)
    assert message.id in studio.channel.messages


def test_a_batch_is_one_entry_of_ten(studio: Studio) -> None:
    start(studio, "a red castle --repeat 40")
    for number in range(9):
        studio.imagine(prompt=f"castle {number}")
    full = studio.server.slash(studio.ada, studio.channel, "imagine", prompt="one too many")
    assert "queue is full" in sentence(studio, full)


def test_the_jobs_of_ones_batches_are_bounded(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    start(studio)
    monkeypatch.setattr(studio.backends.config, "batch_jobs", 4)
    refused = sentence(studio, studio.server.slash(studio.ada, studio.channel, "imagine", prompt=TYPED))
    assert "makes 3 jobs" in refused
    assert "At most 4 jobs" in refused
    assert "3 do already" in refused


def test_where_only_the_member_installed_easel_at_most_four(studio: Studio) -> None:
    channel = studio.server.guild("elsewhere", studio.ada, has_bot=False).channel("theirs")
    refused = ask(studio, "a red castle --repeat 5", channel=channel)
    assert "at most 4 results" in original(refused).content
    question = ask(studio, "a red castle --repeat 4", channel=channel)
    confirmed = confirm(studio, question)
    for _ in range(4):
        drawing.draw(studio.backends)
    studio.wait(lambda: len(studio.pictures(channel)) == 4, 60, what="four follow-ups")
    assert {message.id for message in confirmed.followups} == {
        message.id for message in studio.pictures(channel)
    }
    until_says(studio, original(confirmed), "(4 of 4 done)")
    until_finished(studio)
    studio.settled()


def handed_over(studio: Studio) -> tuple[Interaction, Message]:
    """A batch that outlasts its token where only its member has Easel, and has said so."""
    channel = studio.server.guild("elsewhere", studio.ada, studio.bob, has_bot=False).channel("theirs")
    confirmed = confirm(studio, ask(studio, channel=channel))
    change_tokens(studio, posting.HANDOVER_MS - 1000)
    drawing.draw(studio.backends)
    message = original(confirmed)
    until_says(studio, message, "**Show** goes on")
    studio.settled()
    change_tokens(studio, -1)
    confirmed.expired = True
    return confirmed, message


def change_tokens(studio: Studio, left_ms: int) -> None:
    """Leave the tokens of the batch and its jobs so many milliseconds."""
    at = int(time.time() * 1000) + left_ms
    change_batch(studio, token_expires_at=at)
    for job in children(studio):
        studio.change_job(job.id, token_expires_at=at)


def test_before_its_token_ends_show_goes_on_with_a_fresh_one(studio: Studio) -> None:
    _, message = handed_over(studio)
    assert [button["label"] for button in message.buttons] == ["Show", "Cancel"]
    pressed = studio.server.press(studio.ada, message, "Show")
    studio.wait(lambda: batch(studio).interaction_token == pressed.token, what="the fresh token")
    until_says(studio, message, "(1 of 3 done)")
    assert [button["label"] for button in message.buttons] == ["Cancel"]
    for _ in range(2):
        drawing.draw(studio.backends)
    until_says(studio, message, "(3 of 3 done)")
    studio.wait(lambda: len(pressed.followups) == 2, what="the pictures that were left")
    until_finished(studio)
    studio.settled()
    assert studio.server.dm(studio.ada).shown() == []


def test_show_says_that_all_of_it_is_finished(studio: Studio) -> None:
    _, message = handed_over(studio)
    for _ in range(2):
        drawing.draw(studio.backends)
    until_finished(studio)
    studio.settled()
    assert len(studio.pictures(studio.server.dm(studio.ada))) == 2
    studio.server.press(studio.ada, message, "Show")
    until_says(studio, message, "(3 of 3 done)")
    assert message.buttons == []


def test_show_is_for_the_batchs_member(studio: Studio) -> None:
    _, message = handed_over(studio)
    refused = studio.server.press(studio.bob, message, "Show")
    assert "somebody else's" in sentence(studio, refused)
    assert "**Show** goes on" in message.content


def test_in_stealth_only_its_member_sees_any_of_it(studio: Studio) -> None:
    confirmed = confirm(studio, ask(studio, "a {red, blue} castle --stealth"))
    for _ in range(2):
        drawing.draw(studio.backends)
    until_says(studio, original(confirmed), "(2 of 2 done)")
    studio.settled()
    until_finished(studio)
    assert original(confirmed).ephemeral
    assert len(confirmed.followups) == 2
    assert studio.channel.shown() == []


def test_a_question_that_took_long_is_private_all_the_same(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "PATIENCE", 0.0)
    question = studio.server.slash(studio.ada, studio.channel, "imagine", prompt=TYPED)
    studio.wait(lambda: question.followups, what="the question")
    (asked,) = question.followups
    assert asked.ephemeral
    assert studio.channel.shown() == [], "the promise of an answer for all to see is taken back"
    confirmed = studio.server.press(studio.ada, asked, "Yes")
    studio.wait(lambda: batch(studio).progress_message_id, what="progress")
    assert not original(confirmed).ephemeral
    studio.wait(lambda: asked.content == "3 jobs were started.", what="the question's end")
    assert len(children(studio)) == 3


def test_its_message_goes_on_in_the_channel_when_the_token_dies(studio: Studio) -> None:
    message = start(studio)
    change_batch(studio, token_expires_at=int((time.time() + posting.HANDOVER_MS / 1000 - 1) * 1000))
    drawing.draw(studio.backends)
    until_says(studio, message, "1 of 3 done")
    edits = [call.template for call in studio.server.calls if call.method == "PATCH"]
    assert edits[-1] == "/channels/{channel_id}/messages/{message_id}"


def test_its_message_goes_on_after_a_restart(studio: Studio) -> None:
    message = start(studio)
    drawing.draw(studio.backends)
    until_says(studio, message, "1 of 3 done")
    studio.stop_bot()
    studio.start_bot()
    drawing.draw(studio.backends)
    until_says(studio, message, "2 of 3 done")
    drawing.draw(studio.backends)
    until_says(studio, message, "(3 of 3 done)")
    until_finished(studio)
    studio.settled()
    assert len(studio.pictures()) == 3


def test_finished_while_the_bot_was_away_it_ends_right(studio: Studio) -> None:
    message = start(studio)
    studio.stop_bot()
    for _ in range(3):
        drawing.draw(studio.backends)
    studio.start_bot()
    until_says(studio, message, "(3 of 3 done)")
    until_finished(studio)
    assert message.buttons == []
    studio.settled()
    assert len(studio.pictures()) == 3


def test_a_message_that_was_deleted_is_left_alone(studio: Studio) -> None:
    message = start(studio)
    fault = studio.server.faults.add("PATCH", "/messages/@original", refusal=unknown_message(), times=9)
    drawing.draw(studio.backends)
    studio.wait(lambda: fault.met == 1, what="an edit")
    for _ in range(2):
        drawing.draw(studio.backends)
    until_finished(studio)
    assert fault.met == 1
    studio.settled()
    assert len(studio.pictures()) == 3
    assert message.content.endswith("waiting to start)")


@pytest.mark.usefixtures("quick_sweeps")
def test_an_unanswered_question_is_forgotten(studio: Studio) -> None:
    ask(studio)
    change_batch(studio, expires_at=0)
    studio.wait(lambda: batch(studio).state == batches.EXPIRED, 60, what="the sweep")
    assert (batch(studio).planned, batch(studio).interaction_token) == ([], None)


def test_its_jobs_are_ordinary_jobs(studio: Studio) -> None:
    start(studio)
    drawing.draw(studio.backends)
    grid = studio.picture()
    studio.server.press(studio.bob, grid, "V1")
    studio.wait(lambda: rows(studio, Job) == 4, what="the variation")
    with studio.backends.database.reading() as session:
        variation = jobs.get(session, 4)
    assert (variation.batch_id, variation.state) == (None, JobState.QUEUED)
    assert variation.request["task"] == Task.IMAGE_TO_IMAGE
