"""What a right click offers: to members on a message, to moderators on a member."""

from __future__ import annotations

import io
from typing import Any

import discord
import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from bot.messages import finding, image_actions, panels, privacy, refusals
from storage import moderation, restrictions
from storage.contract import Action, JobState
from storage.tables import Job
from tests.bot import drawing, photos
from tests.bot.simulated import (
    Member,
    World,
    answer,
    button,
    components,
    interactions_with,
    labels,
    prefilled,
    press,
    texts,
)


def _job(world: World, job_id: int = 1) -> Job:
    with world.backends.database.reading() as session:
        return session.get_one(Job, job_id)


async def _grid(world: World, member: Any, prompt: str = "a red castle") -> discord.Message:
    before = max((message.id for message in world.messages()), default=0)
    await member.slash(world.channel, "imagine", prompt=prompt)
    drawing.draw(world.backends)
    return await world.picture(after=before)


async def _said(world: World, member: Any, menu: str, message: Any) -> str:
    result = await member.context_menu(world.channel, menu, message)
    assert result.ephemeral
    return texts(answer(result)).strip()


def _moderator(world: World) -> Any:
    return world.member("mod", manage_messages=True)


async def test_who_finds_which_menus(world: World) -> None:
    payload = [menu.to_dict(world.bot.tree) for menu in world.bot.tree.get_commands()]
    on_messages = [command for command in payload if command["type"] == 3]
    on_members = [command for command in payload if command["type"] == 2]
    assert [command["name"] for command in on_messages] == [
        *("Cancel Job", "DM Results", "Report Job", "Use picture…")
    ]
    assert [command["name"] for command in on_members] == ["Jobs of Member", "Ban from Easel"]
    moderators = discord.Permissions(manage_messages=True).value
    for command in on_members:
        assert (command["contexts"], command["integration_types"]) == ([0], [0])
        assert command["default_member_permissions"] == moderators
    for command in on_messages:
        assert (command["contexts"], command["integration_types"]) == ([0, 1, 2], [0, 1])


async def test_cancel_job_stops_what_runs_and_deletes_what_is_finished(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    waiting = world.messages()[-1]
    assert await _said(world, alice, "Cancel Job", waiting) == finding.retracted("stopped")
    assert _job(world).state == JobState.CANCELLED
    grid = await _grid(world, alice)
    assert await _said(world, alice, "Cancel Job", grid) == finding.retracted("deleted")
    assert grid.id not in [message.id for message in world.messages()]
    assert drawing.images(world.backends, 2) == []


async def test_cancel_job_is_for_the_member_and_moderators(world: World) -> None:
    alice, mallory, mod = world.member("alice"), world.member("mallory"), _moderator(world)
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    waiting = world.messages()[-1]
    assert await _said(world, mallory, "Cancel Job", waiting) == refusals.not_yours()
    assert await _said(world, mod, "Cancel Job", waiting) == panels.cancelled_by_moderator(1)
    assert _job(world).state == JobState.CANCELLED
    grid = await _grid(world, alice)
    assert await _said(world, mallory, "Cancel Job", grid) == refusals.not_yours()
    assert "succeeded already" in await _said(world, mod, "Cancel Job", grid)


async def test_cancel_job_cancels_a_whole_batch(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    asked = await alice.slash(world.channel, "imagine", prompt="a {red, blue} castle")
    progress = answer(await press(alice, answer(asked), "Yes"))
    assert await _said(world, mallory, "Cancel Job", progress) == refusals.not_yours()
    assert await _said(world, alice, "Cancel Job", progress) == finding.retracted("stopped")
    assert [_job(world, job_id).state for job_id in (1, 2)] == [JobState.CANCELLED] * 2


@pytest.mark.parametrize("menu", ["Cancel Job", "DM Results", "Report Job"])
async def test_a_foreign_message_is_answered_with_a_sentence(world: World, menu: str) -> None:
    alice = world.member("alice")
    chat = await alice.send(world.channel, "hello")
    assert await _said(world, alice, menu, chat) == finding.no_such_message()


@pytest.mark.parametrize("menu", ["Cancel Job", "DM Results", "Report Job"])
async def test_a_message_of_deleted_data_says_so(world: World, menu: str) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    asked = answer(await alice.slash(world.channel, "privacy delete"))
    await press(alice, asked, privacy.delete_label())
    assert await _said(world, alice, menu, grid) == privacy.data_deleted()


async def test_dm_results_sends_the_pictures_home(world: World) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    await world.restart_bot()
    assert await _said(world, alice, "DM Results", grid) == image_actions.sent_home()
    (message,) = world.messages(alice.user.dm_channel)
    assert len(message.attachments) == 5
    await alice.slash(world.channel, "imagine", prompt="a blue castle")
    waiting = world.messages()[-1]
    assert "not finished" in await _said(world, alice, "DM Results", waiting)


async def test_dm_results_keeps_stealth(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    grid = await _grid(world, alice)
    with world.backends.database.writing() as session:
        session.get_one(Job, 1).stealth = True
    assert await _said(world, mallory, "DM Results", grid) == refusals.not_yours()


async def test_reports_reach_the_moderators_who_withhold(world: World) -> None:
    alice, bob, mod = world.member("alice"), world.member("bob"), _moderator(world)
    grid = await _grid(world, alice)
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    assert await _said(world, bob, "Report Job", grid) == finding.reported(fresh=True)
    assert await _said(world, bob, "Report Job", single) == finding.reported(fresh=False)
    page = answer(await mod.slash(world.channel, "mod reports"))
    assert "a red castle" in texts(page)
    assert alice.mention in texts(page)
    assert single.jump_url in texts(page)
    assert len(page.attachments) == 1
    await world.restart_bot()
    await press(mod, page, "Withhold")
    assert finding.reports_title(empty=True) in texts(page)
    assert page.attachments == []
    left = [message.id for message in world.messages()]
    assert not {grid.id, single.id} & set(left)
    assert "red castle" in texts(answer(await alice.slash(world.channel, "history"))), "she keeps it"
    log = texts(answer(await mod.slash(world.channel, "mod audit")))
    assert "withheld a reported job of" in log
    with world.backends.database.reading() as session:
        assert moderation.verify_chain(session) == []


async def test_moderators_dismiss_and_turn_pages_of_reports(world: World) -> None:
    alice, bob, mod = world.member("alice"), world.member("bob"), _moderator(world)
    for number in range(6):
        grid = await _grid(world, alice, f"castle {number}")
        await bob.context_menu(world.channel, "Report Job", grid)
    page = answer(await mod.slash(world.channel, "mod reports"))
    shown = [number for number in range(6) if f"castle {number}" in texts(page)]
    assert shown == [1, 2, 3, 4, 5]
    assert len(components(page)) <= 40
    await press(mod, page, "Older")
    assert "castle 0" in texts(page)
    assert button(page, "Older")["disabled"]
    await press(mod, page, "Dismiss")
    assert "castle 0" not in texts(page)
    assert "castle 5" in texts(page)
    assert len(drawing.images(world.backends, 1)) == 4
    assert "dismissed" in texts(answer(await mod.slash(world.channel, "mod audit")))


async def test_only_moderators_decide_and_only_servers_have_some(world: World) -> None:
    alice, mallory, mod = world.member("alice"), world.member("mallory"), _moderator(world)
    grid = await _grid(world, alice)
    await mallory.context_menu(world.channel, "Report Job", grid)
    page = answer(await mod.slash(world.channel, "mod reports"))
    withhold = button(page, "Withhold")["custom_id"]
    left = world.post_component(withhold)
    refused = await mallory.click(left, custom_id=withhold)
    assert answer(refused).content == refusals.not_moderator()
    assert grid.id in [message.id for message in world.messages()]
    with interactions_with(authorizing_integration_owners={"1": str(alice.id)}):
        assert await _said(world, alice, "Report Job", grid) == finding.nobody_moderates()


async def test_moderators_see_a_members_jobs_here(world: World) -> None:
    alice, mod = world.member("alice"), _moderator(world)
    for number in range(9):
        await _grid(world, alice, f"castle {number}")
    await alice.user.slash("imagine", prompt="a private boat")
    result = await mod.context_menu(world.channel, "Jobs of Member", alice)
    assert result.ephemeral
    page = answer(result)
    assert [number for number in range(9) if f"castle {number}" in texts(page)] == list(range(1, 9))
    assert "private boat" not in texts(page)
    assert "finished" in texts(page)
    assert "discord.com/channels" in texts(page)
    await press(mod, page, "Older")
    assert "castle 0" in texts(page)
    await press(mod, page, "Newest")
    assert "castle 8" in texts(page)


async def test_moderators_ban_by_a_form(world: World) -> None:
    alice, mod = world.member("alice"), _moderator(world)
    form = await mod.context_menu(world.channel, "Ban from Easel", alice)
    assert form.modal is not None
    await world.restart_bot()
    result = await world.submit(mod, f"e1:fb:{alice.id}", prompt="rude words", lasts=["24"])
    assert result.ephemeral
    assert alice.mention in answer(result).content
    refused = await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert "rude words" in answer(refused).content
    with world.backends.database.reading() as session:
        ban = restrictions.active_ban(session, alice.id, world.guild.id)
        assert ban is not None
        assert ban.expires_at is not None
        assert 23 * 3_600_000 < ban.expires_at - ban.created_at <= 24 * 3_600_000
    await world.submit(mod, f"e1:fb:{alice.id}", prompt="x" * 3000, lasts=[])
    with world.backends.database.reading() as session:
        ban = restrictions.active_ban(session, alice.id, world.guild.id)
        assert ban is not None
        assert (ban.expires_at, len(ban.reason)) == (None, 400)


async def test_nobody_bans_themselves_and_no_member_bans(world: World) -> None:
    alice, mod = world.member("alice"), _moderator(world)
    own = await mod.context_menu(world.channel, "Ban from Easel", mod)
    assert answer(own).content == panels.no_self_ban()
    refused = await world.submit(alice, f"e1:fb:{mod.id}", prompt="revenge", lasts=[])
    assert answer(refused).content.startswith(refusals.not_moderator())
    for menu in ("Jobs of Member", "Ban from Easel"):
        world.allow_menu(menu, alice)
        result = await alice.context_menu(world.channel, menu, mod)
        assert answer(result).content == refusals.not_moderator()


async def test_a_server_forbids_words(world: World) -> None:
    alice, mod = world.member("alice"), _moderator(world)
    empty = await mod.slash(world.channel, "mod words list")
    assert answer(empty).content == finding.words_title(0)
    added = await mod.slash(world.channel, "mod words add", word="  Purple   SPIDER ")
    assert answer(added).content == finding.word_added("purple spider")
    again = await mod.slash(world.channel, "mod words add", word="purple spider")
    assert answer(again).content == finding.word_not_added("purple spider", 500)
    nothing = await mod.slash(world.channel, "mod words add", word="---")
    assert answer(nothing).content == finding.word_unreadable("---")
    refused = await alice.slash(world.channel, "imagine", prompt="a purple spíder in a castle")
    assert refused.ephemeral
    assert "purple spider" in answer(refused).content
    listed = await mod.slash(world.channel, "mod words list")
    assert "purple spider" in answer(listed).content
    removed = await mod.slash(world.channel, "mod words remove", word="purple spider")
    assert answer(removed).content == finding.word_removed("purple spider")
    gone = await mod.slash(world.channel, "mod words remove", word="purple spider")
    assert answer(gone).content == finding.word_not_there("purple spider")
    await alice.slash(world.channel, "imagine", prompt="a purple spider in a castle")
    assert _job(world).text == "a purple spider in a castle"
    log = texts(answer(await mod.slash(world.channel, "mod audit")))
    assert "forbade in prompts: purple spider" in log
    assert "allowed in prompts again: purple spider" in log


async def test_a_long_list_of_words_is_a_file(world: World) -> None:
    mod = _moderator(world)
    for number in range(25):
        await mod.slash(world.channel, "mod words add", word=f"{'word ' * 18}{number}")
    listed = answer(await mod.slash(world.channel, "mod words list"))
    (file,) = listed.message.attachments
    assert len((await file.read()).decode().splitlines()) == 25
    assert labels(listed) == []


async def test_who_is_no_moderator_forbids_nothing(world: World) -> None:
    mallory = world.member("mallory")
    world.allow_command("mod", mallory)
    for command in ("mod words add", "mod words remove"):
        result = await mallory.slash(world.channel, command, word="castle")
        assert answer(result).content == refusals.not_moderator()
    result = await mallory.slash(world.channel, "mod words list")
    assert answer(result).content == refusals.not_moderator()


async def _with_picture(world: World, member: Member, *files: tuple[str, bytes]) -> discord.Message:
    return await member.send(world.channel, "look", attachments=files)


async def test_any_uploaded_picture_is_described_or_drawn_from(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    shown = await _with_picture(
        world, bob, ("notes.txt", b"words"), ("castle.png", photos.png(90, 60)), ("other.png", photos.png())
    )
    result = await alice.context_menu(world.channel, "Use picture…", shown)
    assert result.ephemeral
    page = answer(result)
    assert page.content == finding.use_picture()
    assert labels(page) == ["Describe", "Image prompt", "Mask"]
    assert [attachment.filename for attachment in page.message.attachments] == ["castle.png"]
    await world.restart_bot()
    described = await press(alice, page, "Describe")
    assert "Describing" in answer(described).content
    assert _job(world).request["task"] == "describe"
    form = await press(alice, page, "Image prompt")
    drawn = await alice.submit_modal(form, {"prompt": "a blue boat"})
    assert "a blue boat" in answer(drawn).content
    request = _job(world, 2).request
    assert request["task"] == "image-to-image"
    assert request["source_key"] == _job(world).request["source_key"]


async def _painted(
    image: discord.Message, box: tuple[float, float, float, float], form: str = "PNG"
) -> bytes:
    """The first picture of a message, saved, and painted over in this part of it."""
    copy = PIL.Image.open(io.BytesIO(await image.attachments[0].read())).convert("RGB")
    corners = [part * side for part, side in zip(box, copy.size * 2, strict=True)]
    PIL.ImageDraw.Draw(copy).rectangle(corners, fill="white")
    out = io.BytesIO()
    copy.save(out, form)
    return out.getvalue()


async def _single(world: World, member: Member, prompt: str, number: int) -> discord.Message:
    grid = await _grid(world, member, prompt)
    await press(member, grid, f"U{number}")
    return await world.picture(after=grid.id)


def _mask(world: World, job: Job) -> np.ndarray[Any, Any]:
    with PIL.Image.open(io.BytesIO(world.backends.images.load(job.request["mask_key"]))) as mask:
        return np.asarray(mask) > 0


async def test_a_painted_copy_is_the_mask_of_its_twin(world: World) -> None:
    alice = world.member("alice")
    single = await _single(world, alice, "a red castle", 3)
    copy = ("copy.jpg", await _painted(single, (0, 0.5, 0.5, 1), "JPEG"))
    posted = await _with_picture(world, alice, copy)
    page = answer(await alice.context_menu(world.channel, "Use picture…", posted))
    assert page.content == finding.use_painted(1, 3)
    await world.restart_bot()
    form = await press(alice, page, "Mask")
    assert prefilled(form) == "a red castle"
    await world.restart_bot()
    drawn = await alice.submit_modal(form, {"prompt": "a red castle and a tree"})
    assert "a region of image #3" in answer(drawn).content
    job = _job(world, 2)
    assert (job.parent_job_id, job.parent_index, job.action) == (1, 2, Action.REMIX_REGION)
    assert job.request["parent_image_id"] == drawing.images(world.backends, 1)[2].id
    mask = _mask(world, job)
    assert mask[36:, :28].all()
    assert not mask[:28].any()
    assert not mask[:, 36:].any()


async def test_what_easel_posted_is_no_painted_copy(world: World) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    page = answer(await alice.context_menu(world.channel, "Use picture…", grid))
    assert "painted copy" not in page.content
    posted = await _with_picture(world, alice, ("grid.png", await _painted(grid, (0, 0, 0.1, 0.1))))
    page = answer(await alice.context_menu(world.channel, "Use picture…", posted))
    assert "painted copy" in page.content, "saved and painted over, a grid is near enough to one of its own"


async def test_the_twin_of_a_reply_is_what_was_replied_to(world: World) -> None:
    alice, bob, mallory = world.member("alice"), world.member("bob"), world.member("mallory")
    single = await _single(world, alice, "a red castle", 2)
    copy = ("copy.png", await _painted(single, (0.5, 0, 1, 0.5)))
    posted = await _with_picture(world, bob, copy)
    page = answer(await bob.context_menu(world.channel, "Use picture…", posted))
    assert page.content == finding.use_picture()
    reply = await bob.send(world.channel, "like this", attachments=[copy], reply_to=single)
    page = answer(await bob.context_menu(world.channel, "Use picture…", reply))
    assert page.content == finding.use_painted(1, 2)
    with world.backends.database.writing() as session:
        session.get_one(Job, 1).stealth = True
    page = answer(await mallory.context_menu(world.channel, "Use picture…", reply))
    assert page.content == finding.use_picture()


async def test_a_mask_alone_is_of_what_it_replies_to(world: World) -> None:
    alice = world.member("alice")
    grid = await _grid(world, alice)
    await press(alice, grid, "U4")
    single = await world.picture(after=grid.id)
    mask = PIL.Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 20, 64))
    out = io.BytesIO()
    mask.save(out, "PNG")
    file = ("mask.png", out.getvalue())
    for message in (
        await _with_picture(world, alice, file),
        await alice.send(world.channel, "here", attachments=[file], reply_to=grid),
    ):
        page = answer(await alice.context_menu(world.channel, "Use picture…", message))
        assert page.content == finding.use_picture()
    reply = await alice.send(world.channel, "here", attachments=[file], reply_to=single)
    page = answer(await alice.context_menu(world.channel, "Use picture…", reply))
    assert page.content == finding.use_painted(1, 4)
    await alice.submit_modal(await press(alice, page, "Mask"), {"prompt": "a red castle"})
    assert _mask(world, _job(world, 2))[:, :20].all()
    assert not _mask(world, _job(world, 2))[:, 20:].any()


async def test_what_is_no_painted_copy_is_no_mask(world: World) -> None:
    alice = world.member("alice")
    single = await _single(world, alice, "a red castle", 1)
    for name, data in {
        "same.png": await _painted(single, (0, 0, 0, 0)),
        "all.png": await _painted(single, (0, 0, 1, 1)),
        "wide.png": photos.png(200, 90),
        "broken.png": b"no picture",
    }.items():
        posted = await _with_picture(world, alice, (name, data))
        page = answer(await alice.context_menu(world.channel, "Use picture…", posted))
        assert page.content == finding.use_picture(), name
        assert answer(await press(alice, page, "Mask")).content == finding.no_original(), name
    lost = await world.submit(alice, "e1:fm:1", prompt="a blue boat")
    assert answer(lost).content.startswith(finding.no_picture())
    await press(alice, answer(await alice.slash(world.channel, "privacy delete")), privacy.delete_label())
    left = await _with_picture(world, alice, ("copy.png", await _painted(single, (0, 0, 0.5, 1))))
    page = answer(await alice.context_menu(world.channel, "Use picture…", left))
    assert page.content == finding.use_picture()


async def test_use_picture_says_where_there_is_none_or_it_is_too_large(world: World) -> None:
    alice = world.member("alice")
    chat = await _with_picture(world, alice, ("notes.txt", b"words"))
    assert await _said(world, alice, "Use picture…", chat) == finding.no_picture()
    large = await _with_picture(world, alice, ("castle.png", photos.png(900, 600)))
    with interactions_with(attachment_size_limit=100):
        assert await _said(world, alice, "Use picture…", large) == finding.picture_too_large(100)
    left = world.post_component("e1:ud:0")
    refused = await alice.click(left, custom_id="e1:ud:0")
    assert answer(refused).content == finding.no_picture()
    lost = await world.submit(alice, "e1:fu:0", prompt="a blue boat")
    assert answer(lost).content.startswith(finding.no_picture())
