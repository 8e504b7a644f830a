"""Results reach their members: the right message, in the right place, to the right person, and no other."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import PIL.Image
import pytest

from storage import attempts, deliveries, jobs
from storage.tables import Message as ShownMessage
from tests.bot import drawing
from tests.bot.discord_server import User
from tests.bot.discord_server.world import TEXT_CHANNEL
from tests.bot.studio import PROMPT, Studio


def test_a_grid_comes_as_a_new_message_that_mentions_its_member_alone(studio: Studio) -> None:
    interaction = studio.imagine()
    assert interaction.original is not None
    assert interaction.took < 3
    job = drawing.draw(studio.backends)
    message = studio.picture()
    assert message.content == f"**{PROMPT}** - <@{studio.ada.id}> (fast)"
    assert message.pinged == {studio.ada.id}
    assert [file.filename for file in message.files] == [f"ada_a_red_castle_on_green_hills_{job.id}.png"]
    shown = [button.get("label") or button["emoji"]["name"] for button in message.buttons]
    assert shown == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]
    studio.settled()
    assert studio.channel.shown() == [message], "the progress message is gone"
    assert message.nonce is not None


def test_the_grid_shows_the_four_pictures_enlarged(studio: Studio) -> None:
    message = studio.grid()
    image = PIL.Image.open(io.BytesIO(message.files[0].data)).convert("RGB")
    assert min(image.size) >= 2 * 2 * 64
    quarters = [(1, 1), (3, 1), (1, 3), (3, 3)]
    colours = [image.getpixel((image.width * x // 4, image.height * y // 4)) for x, y in quarters]
    assert len(set(colours)) == 4


def test_the_message_is_remembered_for_history(studio: Studio) -> None:
    message = studio.grid()
    with studio.backends.database.reading() as session:
        shown = session.get(ShownMessage, message.id)
    assert shown is not None
    assert shown.channel_id == studio.channel.id
    (delivery,) = studio.deliveries()
    assert (delivery.state, delivery.message_id) == ("done", message.id)
    assert delivery.interaction_token is None
    assert studio.backends.database is not None
    with studio.backends.database.reading() as session:
        assert jobs.get(session, delivery.job_id).interaction_token is None, "the secret is wiped"


@pytest.mark.parametrize(
    "prompt",
    [
        "@everyone a castle @here",
        "<@{bob}> and <@&{guild}> and <#5>",
        "**a** _castle_ `code` ||spoiler|| [x](https://example.com) > quote",
        "🏰" * 1500,
    ],
)
def test_nobody_else_is_pinged_whatever_the_prompt_says(studio: Studio, prompt: str) -> None:
    studio.imagine(prompt=prompt.format(bob=studio.bob.id, guild=studio.guild.id))
    drawing.draw(studio.backends)
    assert studio.picture().pinged == {studio.ada.id}


def test_two_members_get_their_own(studio: Studio) -> None:
    studio.imagine(studio.ada, "a red boat")
    studio.imagine(studio.bob, "a blue fish")
    drawing.draw(studio.backends)
    drawing.draw(studio.backends)
    studio.picture(2)
    assert {(message.content.split("**")[1], *message.pinged) for message in studio.pictures()} == {
        ("a red boat", studio.ada.id),
        ("a blue fish", studio.bob.id),
    }


def test_a_picked_picture_is_there_at_once_and_answers_the_grid(studio: Studio) -> None:
    grid = studio.grid()
    interaction = studio.server.press(studio.bob, grid, "U2")
    message = studio.picture(2)
    assert interaction.took < 3
    assert message.content == f"**{PROMPT}** - Image #2 <@{studio.bob.id}>"
    assert message.pinged == {studio.bob.id}
    assert message.reference == grid.id
    assert re.fullmatch(r"\w+_a_red_castle_on_green_hills_\d+\.png", message.files[0].filename)
    studio.settled()
    assert grid.id in studio.channel.messages
    assert "🔄" in {(button.get("emoji") or {}).get("name") for button in message.buttons}


def test_a_variation_answers_the_message_it_was_asked_on(studio: Studio) -> None:
    grid = studio.grid()
    studio.server.slash(studio.ada, studio.channel, "show", job_id=1)
    again = studio.picture(2)
    studio.server.press(studio.bob, grid, "V3")
    studio.wait(lambda: len(studio.channel.shown()) == 3)
    drawing.draw(studio.backends)
    message = studio.picture(3)
    assert message.reference == grid.id != again.id
    assert "Variations by" in message.content
    assert message.pinged == {studio.bob.id}


def test_a_deleted_grid_does_not_hold_up_its_variation(studio: Studio) -> None:
    grid = studio.grid()
    studio.server.press(studio.bob, grid, "V3")
    studio.wait(lambda: len(studio.channel.shown()) == 2)
    del studio.channel.messages[grid.id]
    drawing.draw(studio.backends)
    assert studio.picture(1).reference is None


def test_a_failure_is_told_in_place_of_the_progress(studio: Studio) -> None:
    interaction = studio.imagine()
    drawing.fail(studio.backends)
    studio.settled()
    (message,) = studio.channel.shown()
    assert message is interaction.original
    assert "memory" in message.content
    assert message.buttons == []


def test_a_job_cancelled_while_waiting_says_so(studio: Studio) -> None:
    interaction = studio.imagine()
    assert interaction.original is not None
    studio.server.press(studio.ada, interaction.original, "Cancel Job")
    studio.wait(lambda: interaction.original and "(Stopped)" in interaction.original.content)
    studio.settled()
    assert interaction.original.buttons == []
    assert studio.channel.shown() == [interaction.original]


def test_a_withheld_picture_is_veiled_and_said(studio: Studio) -> None:
    studio.imagine()
    drawing.draw(studio.backends, withheld=[2])
    message = studio.picture()
    assert "1 of 4" in message.content
    disabled = {button.get("label") for button in message.buttons if button.get("disabled")}
    assert disabled == {"U3", "V3"}


def test_all_withheld_shows_nothing(studio: Studio) -> None:
    studio.imagine()
    drawing.draw(studio.backends, withheld=range(4))
    studio.settled()
    (message,) = studio.channel.shown()
    assert "withheld every picture" in message.content
    assert not message.files


def test_lost_files_are_told(studio: Studio) -> None:
    studio.stop_bot()
    studio.start_bot()
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.stop_bot()
    job = drawing.finish(studio.backends, taken)
    for image in drawing.images(studio.backends, job.id):
        studio.backends.images.delete(image.key)
    studio.start_bot()
    studio.settled()
    (message,) = studio.channel.shown()
    assert "lost" in message.content
    assert message.pinged == {studio.ada.id}


def test_direct_messages_work(studio: Studio) -> None:
    dm = studio.server.dm(User("carol"))
    assert dm.recipient is not None
    studio.imagine(dm.recipient, channel=dm)
    drawing.draw(studio.backends)
    message = studio.picture(channel=dm)
    studio.settled()
    assert dm.shown() == [message]


def test_a_thread_works(studio: Studio) -> None:
    thread = studio.guild.channel("a thread", type=11, parent=studio.channel)
    studio.server.dispatch("THREAD_CREATE", thread.json())
    studio.imagine(channel=thread)
    drawing.draw(studio.backends)
    assert studio.picture(channel=thread)
    assert studio.channel.type == TEXT_CHANNEL


def test_where_only_the_member_installed_easel_the_result_comes_through_the_token(studio: Studio) -> None:
    foreign = studio.server.guild("elsewhere", studio.ada, has_bot=False)
    channel = foreign.channel("their pictures")
    interaction = studio.imagine(channel=channel)
    drawing.draw(studio.backends)
    message = studio.picture(channel=channel)
    studio.settled()
    assert interaction.original is message
    assert interaction.followups == []
    assert studio.server.posts(channel) == []
    assert channel.shown() == [message]


def test_a_picture_over_the_upload_limit_shrinks(studio: Studio) -> None:
    studio.channel.upload_limit = 6_000
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    _make_noisy(studio, taken)
    message = studio.picture()
    assert studio.job_of(interaction).upload_limit == 6_000
    assert len(message.files[0].data) <= 6_000
    assert message.files[0].filename.endswith((".webp", ".jpg"))


def test_a_limit_that_shrank_meanwhile_is_met_as_well(studio: Studio) -> None:
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.channel.upload_limit = 40_000
    _make_noisy(studio, taken, size=(96, 96))
    message = studio.picture()
    assert len(message.files[0].data) <= 40_000


def _make_noisy(studio: Studio, taken: attempts.Claim, size: tuple[int, int] | None = None) -> None:
    """Finish a job with pictures that do not compress."""
    request = taken.request
    if size is not None:
        request = request.model_copy(update={"width": size[0], "height": size[1]})
    drawing.finish(studio.backends, replace(taken, request=request), noise=True)


def test_what_was_finished_while_the_bot_was_away_is_delivered(studio: Studio) -> None:
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.stop_bot()
    drawing.finish(studio.backends, taken)
    studio.start_bot()
    studio.picture()
    studio.settled()
    assert len(studio.channel.shown()) == 1


def test_a_result_that_was_posted_but_not_tidied_is_tidied_at_the_next_start(studio: Studio) -> None:
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.stop_bot()
    job = drawing.finish(studio.backends, taken)
    (delivery,) = studio.deliveries()
    message = ShownMessage(id=1, channel_id=studio.channel.id, job_id=job.id, created_at=0)
    with studio.backends.database.writing() as session:
        deliveries.posted(session, delivery.id, message)
    studio.start_bot()
    studio.settled()
    assert interaction.original is not None
    assert studio.channel.shown() == []
    assert studio.server.posts() == []
