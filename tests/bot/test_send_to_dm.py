"""✉️: pictures in the member's direct messages."""

from __future__ import annotations

import io

import PIL.Image
import pytest

from bot.components import send_to_dm
from bot.components.send_to_dm import ClosedMessages, NothingToSend, send_home
from bot.messages import image_actions, refusals
from storage import jobs
from storage.errors import NoSuchImage, NoSuchJob
from tests.bot import drawing
from tests.bot.pressing import drawn, images, job_rows, picked
from tests.bot.simulated import World, answer, press


async def test_the_picture_comes_with_prompt_job_and_seed(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    _, single = await picked(world, alice, "a red castle --cfg 3")
    result = await press(bob, single, "✉️")
    assert result.ephemeral
    assert answer(result).content == image_actions.sent_home()
    (message,) = bob.user.dm_channel.history()
    job, image = job_rows(world)[0], images(world)[1]
    assert message.content == f"**a red castle --cfg 3**\n**Job ID**: {job.id}\n**seed** {image.seed}"
    (file,) = message.attachments
    assert file.filename == f"alice_a_red_castle_{job.id}.png"
    assert PIL.Image.open(io.BytesIO(await file.read())).convert("RGB").getpixel((0, 0)) == (46, 139, 87)
    assert world.messages()[-1].id == single.id, "nothing more in the channel"


async def test_of_a_grid_come_the_sheet_and_each_picture(world: World) -> None:
    alice = world.member("alice")
    await drawn(world, alice, withheld={2})
    job = job_rows(world)[0]
    await send_home(world.bot, world.backends, alice.id, job.id, asked_in=None)
    (message,) = alice.user.dm_channel.history()
    assert [file.filename for file in message.attachments] == [
        f"alice_a_red_castle_{job.id}{number}.png" for number in ("", "_1", "_2", "_4")
    ]
    assert f"**seed** {job.request['seed']}" in message.content


async def test_the_movie_comes_with_it(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    movie = b"an animated WebP"
    world.backends.images.save("000000/1/1-movie.webp", movie)
    with world.backends.database.writing() as session:
        jobs.get(session, job_rows(world)[0].id).movie_key = "000000/1/1-movie.webp"
    await press(alice, single, "✉️")
    (message,) = alice.user.dm_channel.history()
    assert [file.filename for file in message.attachments] == [
        f"alice_a_red_castle_1.{extension}" for extension in ("png", "webp")
    ]
    assert await message.attachments[1].read() == movie


async def test_all_files_of_a_letter_fit_one_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_to_dm, "REQUEST_LIMIT", 30_000)
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    job = drawing.finish(world.backends, drawing.claim(world.backends), noise=True)
    await send_home(world.bot, world.backends, alice.id, job.id, asked_in=None)
    (message,) = alice.user.dm_channel.history()
    assert len(message.attachments) == 5
    assert sum(file.size for file in message.attachments) <= 30_000


async def test_the_longest_prompt_fits(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    with world.backends.database.writing() as session:
        jobs.get(session, job_rows(world)[0].id).text = "*" * 4000
    await press(alice, single, "✉️")
    (message,) = alice.user.dm_channel.history()
    assert len(message.content) <= 2000
    assert "**seed**" in message.content


async def test_closed_direct_messages_are_said(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    world.env.inject_error("POST", "/channels/*/messages", status=403, code=50007)
    result = await press(alice, single, "✉️")
    assert result.ephemeral
    assert answer(result).content == image_actions.closed_messages()
    world.env.inject_error("POST", "/channels/*/messages", status=403, code=50007)
    with pytest.raises(ClosedMessages):
        await send_home(world.bot, world.backends, alice.id, job_rows(world)[0].id, asked_in=None)


async def test_what_there_is_not_cannot_be_sent(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    (job,) = job_rows(world)
    with pytest.raises(NothingToSend) as waiting:
        await send_home(world.bot, world.backends, alice.id, job.id, asked_in=None)
    assert "not finished yet" in image_actions.nothing_to_send(waiting.value.job_id, waiting.value.state)
    drawing.fail(world.backends)
    with pytest.raises(NothingToSend) as failed:
        await send_home(world.bot, world.backends, alice.id, job.id, asked_in=None)
    assert "it was failed" in image_actions.nothing_to_send(failed.value.job_id, failed.value.state)
    with pytest.raises(NoSuchJob):
        await send_home(world.bot, world.backends, alice.id, 99, asked_in=None)
    await world.delivered()


async def test_a_deleted_or_lost_picture_is_said(world: World) -> None:
    alice = world.member("alice")
    _, single = await picked(world, alice)
    world.backends.images.delete(images(world)[1].key)
    lost = await press(alice, single, "✉️")
    assert answer(lost).content == refusals.picture_lost()
    with world.backends.database.writing() as session:
        session.merge(images(world)[1]).deleted_at = 1
    gone = await press(alice, single, "✉️")
    assert answer(gone).content == refusals.no_such_picture()
    with pytest.raises(NoSuchImage):
        await send_home(world.bot, world.backends, alice.id, job_rows(world)[0].id, 99, asked_in=None)
    assert alice.user.dm_channel.history() == []
