"""Stealth: what is made in it is seen by its member alone, and by nobody who guesses a button's id."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from bot.components.jump_links import jump_url
from bot.components.press import HANDLERS
from bot.discord_io.posting import HANDOVER_MS
from bot.messages import refusals
from storage import attempts, deliveries, members
from storage.contract import ErrorCode
from storage.tables import Delivery, Favorite, Job
from storage.tables import Message as ShownMessage
from tests.bot import drawing
from tests.bot.discord_server import Interaction, Message, Refusal, User
from tests.bot.discord_server.world import EPHEMERAL
from tests.bot.simulated import World, answer, press, texts, use
from tests.bot.studio import PROMPT, Studio
from tests.bot.test_custom_ids import GOLDEN

STEALTH = f"{PROMPT} --stealth"


def hidden_picture(studio: Studio, interaction: Interaction) -> Message:
    """The answer or follow-up that shows the pictures, once it is there and all is tidy."""

    def shown() -> list[Message]:
        made = [message for message in (interaction.original, *interaction.followups) if message is not None]
        return [one for one in made if len(one.buttons) > 1 and one.files and one is not interaction.message]

    studio.wait(shown, what="the pictures")
    studio.settled()
    (message,) = shown()
    assert message.flags & EPHEMERAL
    return message


def drawn_in_stealth(studio: Studio) -> tuple[Job, Message]:
    interaction = studio.imagine(prompt=STEALTH)
    job = drawing.draw(studio.backends)
    return job, hidden_picture(studio, interaction)


def test_answer_progress_and_result_are_for_the_member_alone(studio: Studio) -> None:
    interaction = studio.imagine(prompt=STEALTH)
    assert interaction.original is not None
    assert interaction.original.ephemeral
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.31)
    studio.wait(lambda: interaction.original and "(31%) (fast, stealth)" in interaction.original.content)
    drawing.finish(studio.backends, taken)
    message = hidden_picture(studio, interaction)
    assert message.content.endswith(f"<@{studio.ada.id}> (fast, stealth)")
    assert [button.get("label") for button in message.buttons][:4] == ["U1", "U2", "U3", "U4"]
    assert message is interaction.original, "the progress has become the result"
    assert interaction.followups == []
    assert studio.channel.shown() == []
    assert studio.server.posts() == []


def test_no_message_is_remembered_to_jump_to(studio: Studio) -> None:
    job, message = drawn_in_stealth(studio)
    with studio.backends.database.reading() as session:
        (remembered,) = session.scalars(select(ShownMessage)).all()
        assert (remembered.id, remembered.ephemeral) == (message.id, True)
        assert deliveries.messages_of(session, job.id) == []
        assert jump_url(session, job) is None


def test_the_setting_hides_and_the_flag_shows(studio: Studio) -> None:
    with studio.backends.database.writing() as session:
        members.change_settings(session, studio.ada.id, stealth=True)
    interaction = studio.imagine()
    drawing.draw(studio.backends)
    hidden_picture(studio, interaction)
    studio.imagine(prompt=f"{PROMPT} --public")
    drawing.draw(studio.backends)
    assert "stealth" not in studio.picture().content


@pytest.mark.parametrize("label", ["U2", "V3", "🔄"])
def test_what_is_made_of_a_stealth_picture_is_stealth(studio: Studio, label: str) -> None:
    _, grid = drawn_in_stealth(studio)
    interaction = studio.server.press(studio.ada, grid, label)
    studio.wait(lambda: interaction.answered)
    if label != "U2":
        studio.wait(lambda: studio.job_of(interaction).progress_message_id)
        assert drawing.draw(studio.backends).stealth
        assert interaction.original is not None
        assert interaction.original.ephemeral
    hidden_picture(studio, interaction)
    assert studio.channel.shown() == []


def test_a_picture_that_is_quicker_than_the_answer_to_its_press_waits_for_it(studio: Studio) -> None:
    _, grid = drawn_in_stealth(studio)
    unknown = Refusal(404, 10015, "Unknown Webhook")
    studio.server.faults.add("POST", "/webhooks/{webhook_id}/{webhook_token}", refusal=unknown)
    interaction = studio.server.press(studio.ada, grid, "U2")
    hidden_picture(studio, interaction)
    assert studio.pictures(studio.server.dm(studio.ada)) == []


def test_after_the_token_the_result_comes_by_direct_message(studio: Studio) -> None:
    interaction = studio.imagine(prompt=STEALTH)
    taken = drawing.claim(studio.backends)
    soon = int(time.time() * 1000 + HANDOVER_MS - 1000)
    studio.change_job(taken.job_id, token_expires_at=soon)
    studio.progress(taken, 0.5)
    studio.wait(lambda: interaction.original and "Still drawing" in interaction.original.content)
    studio.change_job(taken.job_id, token_expires_at=1)
    drawing.finish(studio.backends, taken)
    studio.settled()
    (message,) = studio.pictures(studio.server.dm(studio.ada))
    assert "15 minutes" in message.content
    assert studio.channel.shown() == []


def test_a_failure_is_told_to_the_member_alone(studio: Studio) -> None:
    interaction = studio.imagine(prompt=STEALTH)
    drawing.fail(studio.backends)
    studio.settled()
    assert interaction.original is not None
    assert "memory" in interaction.original.content
    assert interaction.original.ephemeral
    assert studio.channel.shown() == []


def test_a_late_failure_comes_by_direct_message(studio: Studio) -> None:
    studio.imagine(prompt=STEALTH)
    taken = drawing.claim(studio.backends)
    studio.change_job(taken.job_id, token_expires_at=1)
    with studio.backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.CRASHED, "by hand", retry=False)
    studio.settled()
    (message,) = studio.server.dm(studio.ada).shown()
    assert "Could not complete" in message.content


def test_a_cut_answer_is_not_repeated(studio: Studio) -> None:
    """What only one member sees cannot be looked for: they are told where it is instead."""
    _, grid = drawn_in_stealth(studio)
    studio.server.faults.add("POST", "/webhooks/{webhook_id}/{webhook_token}", cut=True)
    interaction = studio.server.press(studio.ada, grid, "U2")
    studio.wait(lambda: len(interaction.followups) == 2, what="the picture, and a sentence")
    studio.settled()
    image, sentence = interaction.followups
    assert image.files
    assert "/show" in sentence.content
    assert sentence.ephemeral
    assert studio.server.posts() == []


def test_in_direct_messages_nothing_changes(studio: Studio) -> None:
    dm = studio.server.dm(User("carol"))
    assert dm.recipient is not None
    interaction = studio.imagine(dm.recipient, STEALTH, dm)
    assert interaction.original is not None
    assert not interaction.original.ephemeral
    drawing.draw(studio.backends)
    message = studio.picture(channel=dm)
    studio.settled()
    assert not message.ephemeral
    assert dm.shown() == [message]


def test_show_brings_it_to_the_member_alone(studio: Studio) -> None:
    job, _ = drawn_in_stealth(studio)
    interaction = studio.server.slash(studio.ada, studio.channel, "show", job_id=job.id)
    hidden_picture(studio, interaction)
    refused = studio.server.slash(studio.bob, studio.channel, "show", job_id=job.id)
    answered = studio.wait(lambda: refused.original)
    assert answered.content == refusals.not_yours()
    assert studio.channel.shown() == []


def test_a_slow_database_does_not_show_it_to_everybody(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was deferred before it was known to be hidden."""
    monkeypatch.setattr("bot.components.responses.PATIENCE", 0.0)
    interaction = studio.imagine(prompt=STEALTH)
    assert interaction.original is not None
    assert not interaction.original.ephemeral
    assert interaction.original.id not in studio.channel.messages, "nothing is promised to all any more"
    (waiting,) = interaction.followups
    assert waiting.ephemeral
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.5)
    studio.wait(lambda: "(50%)" in waiting.content)
    drawing.finish(studio.backends, taken)
    assert hidden_picture(studio, interaction) is waiting
    assert studio.channel.shown() == []


GUESSED = [
    line for line in GOLDEN if line.split(":")[1] in HANDLERS and ("{job}" in line or "{image}" in line)
]


@pytest.mark.parametrize("remix", [False, True], ids=["", "remix"])
async def test_a_guessed_button_of_somebody_elses_shows_nothing(world: World, remix: bool) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    with world.backends.database.writing() as session:
        members.change_settings(session, mallory.id, remix=remix)
    await alice.slash(world.channel, "imagine", prompt="a blue lighthouse --stealth")
    job = drawing.draw(world.backends)
    await world.delivered()
    image = drawing.images(world.backends, job.id)[0].id
    for line in GUESSED:
        custom_id = line.format(job=job.id, image=image)
        result = await use(mallory, world.post_component(custom_id), custom_id)
        shown = [result.response, *result.followups]
        assert result.modal is None, line
        assert "lighthouse" not in "".join(texts(message) for message in shown if message is not None), line
    assert all("lighthouse" not in message.content for message in world.messages())
    with world.backends.database.reading() as session:
        assert session.query(Job).count() == 1
        assert session.query(Delivery).count() == 1
        assert session.query(Favorite).count() == 0


async def test_a_guessed_button_is_refused_in_words(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    await alice.slash(world.channel, "imagine", prompt="a blue lighthouse --stealth")
    job = drawing.draw(world.backends)
    image = drawing.images(world.backends, job.id)[0].id
    for custom_id in (f"u:{job.id}:1", f"v:{job.id}:1", f"r:{job.id}", f"fav:{image}", f"i:{image}"):
        message = world.post_component(f"e1:{custom_id}")
        result = await press(mallory, message, custom_id.split(":")[0])
        assert result.ephemeral, custom_id
        assert answer(result).content == refusals.not_yours(), custom_id
