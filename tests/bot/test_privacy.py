"""`/privacy`: a member gets their data, and has it deleted."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from concurrent.futures import CancelledError
from typing import Any

import pytest
from sqlalchemy import select, update

from bot import export_archives
from bot import exports as bot_exports
from bot.messages import privacy as said
from storage import attempts, belongings, exports, images, jobs, removals
from storage.contract import JobState
from storage.errors import Stale
from storage.tables import Address, Delivery, Export, Job, Member
from tests.bot import drawing
from tests.bot.simulated import World, answer, interactions_with, labels, press, texts

SECRET = "zanzibarine"


async def _names(message: Any) -> list[str]:
    return [*await _files(message)]


async def _files(message: Any) -> dict[str, bytes]:
    """What is in the one ZIP file of a message."""
    (attachment,) = getattr(message, "message", message).attachments
    with zipfile.ZipFile(io.BytesIO(await attachment.read())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _waiting(world: World) -> Export | None:
    with world.backends.database.reading() as session:
        return session.scalar(select(Export))


async def _handed_over(world: World, result: Any) -> list[Any]:
    """The messages of an export, once the last of them is there."""
    await world.until(lambda: _waiting(world) is None or None)
    return [answer(result), *result.followups]


async def _exported(world: World, member: Any) -> list[Any]:
    return await _handed_over(world, await member.slash(world.channel, "privacy export"))


async def _drawn(
    world: World, member: Any, prompt: str = f"a {SECRET} castle", *, noise: bool = False
) -> Job:
    await member.slash(world.channel, "imagine", prompt=prompt)
    job = drawing.finish(world.backends, drawing.claim(world.backends), noise=noise)
    await world.delivered()
    return job


def _job(world: World, job_id: int) -> Job:
    with world.backends.database.reading() as session:
        return session.get_one(Job, job_id)


async def test_the_export_has_the_rows_and_the_originals(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    job, _ = await _drawn(world, alice), await _drawn(world, bob, "a blue boat")
    result = await alice.slash(world.channel, "privacy export")
    assert result.ephemeral
    (message,) = await _handed_over(world, result)
    assert message.content == said.exported(begins=True, more=False, missing=0, too_large=0)
    found = await _files(message)
    (row,) = json.loads(found["jobs.json"])
    assert (row["id"], row["text"]) == (job.id, f"a {SECRET} castle")
    assert "interaction_token" not in row
    assert json.loads(found["members.json"])[0]["name"] == "alice"
    originals = [data for name, data in found.items() if name.endswith(".png")]
    assert originals == [
        world.backends.images.load(image.key) for image in drawing.images(world.backends, job.id)
    ]


async def test_it_is_said_at_once_that_the_export_is_being_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And several asked for at once are one."""
    let_go = threading.Event()
    pages = belongings.rows

    def slowly(*args: Any) -> Any:
        assert let_go.wait(60)
        return pages(*args)

    monkeypatch.setattr(belongings, "rows", slowly)
    alice = world.member("alice")
    await _drawn(world, alice)
    first, second = [await alice.slash(world.channel, "privacy export") for _ in range(2)]
    assert answer(first).content == said.export_begun(continued=False)
    assert answer(second).content == said.export_under_way()
    assert second.ephemeral
    let_go.set()
    (message,) = await _handed_over(world, first)
    assert "jobs.json" in await _files(message)
    assert answer(second).content == said.export_under_way()


async def test_the_export_has_the_movies(world: World) -> None:
    alice = world.member("alice")
    jobs = [await _drawn(world, alice, f"castle {number}") for number in range(2)]
    key, movie = images.movie_key_for(jobs[1].id, 1), b"an animated WebP"
    world.backends.images.save(key, movie)
    with world.backends.database.writing() as session:
        session.get_one(Job, jobs[1].id).movie_key = key
    (message,) = await _exported(world, alice)
    found = await _files(message)
    assert [data for name, data in found.items() if name.endswith(".webp")] == [movie]
    world.backends.images.delete(key)
    (message,) = await _exported(world, alice)
    assert message.content == said.exported(begins=True, more=False, missing=1, too_large=0)


async def test_who_has_nothing_reads_so(world: World) -> None:
    result = await world.member("alice").slash(world.channel, "privacy export")
    assert answer(result).content == said.nothing_stored()
    result = await world.member("bob").slash(world.channel, "privacy delete")
    assert texts(answer(result)).strip() == said.really_delete(0, 0)


async def test_a_large_export_comes_in_parts_also_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_archives, "PARTS", 3)
    alice = world.member("alice")
    for number in range(3):
        await _drawn(world, alice, f"castle {number}", noise=True)
    size = drawing.images(world.backends, 1)[0].size
    with interactions_with(attachment_size_limit=size * 2):
        messages = await _exported(world, alice)
        assert [labels(message) for message in messages] == [[], [], ["Next part"]]
        assert all(message.ephemeral for message in messages)
        await world.restart_bot()
        last = messages[-1]
        while labels(last):
            messages += await _handed_over(world, await press(alice, last, "Next part"))
            last = messages[-1]
    names = [name for message in messages if message.attachments for name in await _files(message)]
    assert len(names) == len(set(names))
    assert len([name for name in names if name.endswith(".png")]) == 12
    for message in messages:
        assert all(attachment.size <= size * 2 for attachment in message.message.attachments)


async def test_an_export_goes_on_after_a_restart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is left of it, where the answer was, or else by direct message."""
    alice = world.member("alice")
    for number in range(2):
        await _drawn(world, alice, f"castle {number}", noise=True)
    size = drawing.images(world.backends, 1)[0].size
    ending, told = world.bot.exports, bot_exports.Exports._send

    def ends(self: Any, row: Export, parcel: Any, clock: Any) -> None:
        if self is ending and parcel.place == 1:
            raise CancelledError  # as the end of the process does it
        told(self, row, parcel, clock)

    monkeypatch.setattr(bot_exports.Exports, "_send", ends)
    with interactions_with(attachment_size_limit=size * 2):
        result = await alice.slash(world.channel, "privacy export")
        await world.until(lambda: answer(result).attachments)
        with world.backends.database.writing() as session:
            session.execute(update(Export).values(token_expires_at=0))
        await world.restart_bot()
        (first,) = await _handed_over(world, result)
    home = [message for message in alice.user.dm_channel.history() if message.attachments]
    names = [name for message in (first, *home) for name in await _names(message)]
    assert len(names) == len(set(names))
    assert len([name for name in names if name.endswith(".png")]) == 8
    assert "jobs.json" in await _files(first)


async def test_an_export_that_fails_again_and_again_is_told_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot_exports, "MOST_TRIES", 1)

    def broken(*_: Any) -> Any:
        raise RuntimeError("a row that nobody can read")

    monkeypatch.setattr(belongings, "rows", broken)
    alice = world.member("alice")
    await _drawn(world, alice)
    (message,) = await _exported(world, alice)
    assert message.content == said.export_failed(1)
    monkeypatch.undo()
    (message,) = await _exported(world, alice)
    assert "jobs.json" in await _files(message)


async def test_an_export_that_is_tried_again_leaves_nothing_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though pictures that were sent are deleted in between, and the borders of archives move."""
    alice = world.member("alice")
    for number in range(3):
        await _drawn(world, alice, f"castle {number}", noise=True)
    monkeypatch.setattr(export_archives, "PARTS", 20)
    size = drawing.images(world.backends, 1)[0].size
    told, later = bot_exports.Exports._send, exports.later
    failed: list[int] = []

    def fails_once(self: Any, row: Export, parcel: Any, clock: Any) -> None:
        if parcel.place == 3 and not failed:
            failed.append(parcel.place)
            with world.backends.database.writing() as session:
                for image in jobs.images_of(session, 1)[:3]:
                    removals.remove(session, 1, image.id)
            raise RuntimeError("the disk is away")
        told(self, row, parcel, clock)

    monkeypatch.setattr(bot_exports.Exports, "_send", fails_once)
    monkeypatch.setattr(exports, "later", lambda session, export_id, _: later(session, export_id, 0))
    with interactions_with(attachment_size_limit=size * 2):
        messages = await _exported(world, alice)
    names = [name for message in messages if message.attachments for name in await _names(message)]
    assert failed
    assert len(names) == len(set(names))
    assert len([name for name in names if name.endswith(".png")]) == 12


@pytest.mark.parametrize("died_after", ["the last archive", "an answer's last archive"])
async def test_what_was_all_handed_over_is_so_once(
    world: World, monkeypatch: pytest.MonkeyPatch, died_after: str
) -> None:
    """The bot died before it could write that it was."""
    if died_after == "an answer's last archive":
        monkeypatch.setattr(export_archives, "PARTS", 3)
    alice = world.member("alice")
    await _drawn(world, alice, noise=True)
    size = drawing.images(world.backends, 1)[0].size
    end = exports.end
    died: list[int] = []

    def dies_once(session: Any, export_id: int) -> None:
        if not died:
            died.append(export_id)
            session.execute(update(Export).values(due_at=0))
            return
        end(session, export_id)

    monkeypatch.setattr(exports, "end", dies_once)
    with interactions_with(attachment_size_limit=size * 2):
        messages = await _exported(world, alice)
    assert died
    names = [name for message in messages for name in await _names(message)]
    assert len(names) == len(set(names))


async def test_an_export_at_which_the_bot_dies_is_given_up(world: World) -> None:
    """Also where nothing was noted of a try but that it began."""
    alice = world.member("alice")
    await _drawn(world, alice)
    with world.backends.database.writing() as session:
        asked = exports.ask(session, Address(alice.user.id, channel_id=world.channel.id), None)
        assert asked is not None
        session.execute(update(Export).values(tries=bot_exports.MOST_TRIES, due_at=0))
    await world.until(lambda: _waiting(world) is None or None)
    home = await world.until(lambda: list(alice.user.dm_channel.history()) if alice.user.dm_channel else None)
    assert [message.content for message in home] == [said.export_failed(asked[0].id)]


async def test_who_deletes_their_data_gets_no_export_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()
    pages = belongings.rows

    def slowly(*args: Any) -> Any:
        found = list(pages(*args))
        begun.set()
        assert let_go.wait(60)
        return iter(found)

    monkeypatch.setattr(belongings, "rows", slowly)
    alice = world.member("alice")
    await _drawn(world, alice)
    result = await alice.slash(world.channel, "privacy export")
    await world.until(lambda: begun.is_set() or None)
    question = await alice.slash(world.channel, "privacy delete")
    await press(alice, answer(question), said.delete_label())
    let_go.set()
    await world.until(lambda: not world.bot.exports._rows or None)
    assert answer(result).content == said.export_begun(continued=False)
    assert result.followups == []


async def test_what_is_lost_or_too_large_is_said(world: World) -> None:
    alice = world.member("alice")
    job = await _drawn(world, alice, noise=True)
    lost = drawing.images(world.backends, job.id)[0]
    world.backends.images.delete(lost.key)
    (message,) = await _exported(world, alice)
    assert message.content == said.exported(begins=True, more=False, missing=1, too_large=0)
    with interactions_with(attachment_size_limit=lost.size):
        messages = await _exported(world, alice)
    assert messages[-1].content == said.exported(
        begins=len(messages) == 1, more=False, missing=0, too_large=4
    )


async def test_deleting_asks_once_more(world: World) -> None:
    alice = world.member("alice")
    job = await _drawn(world, alice)
    result = await alice.slash(world.channel, "privacy delete")
    assert result.ephemeral
    assert texts(answer(result)).strip() == said.really_delete(1, 4)
    await press(alice, answer(result), said.keep_label())
    assert texts(answer(result)).strip() == said.kept()
    assert _job(world, job.id).text == f"a {SECRET} castle"


async def test_deleting_leaves_nothing_to_find_press_or_deliver(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    job = await _drawn(world, alice)
    grid = await world.picture()
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    await world.delivered()
    await alice.slash(world.channel, "imagine", prompt=f"a running {SECRET}")
    running = drawing.claim(world.backends)
    await press(bob, grid, "V1")
    await alice.slash(world.channel, "imagine", prompt=f"a waiting {SECRET}")
    result = await alice.slash(world.channel, "privacy delete")
    await world.restart_bot()
    await press(alice, answer(result), said.delete_label())
    assert texts(answer(result)).strip() == said.deleted(3)
    await world.until(lambda: not any(f"g {SECRET}" in message.content for message in world.messages()))
    for message, label in ((grid, "U2"), (grid, "🔄"), (single, "❤️"), (single, "ℹ️")):
        refused = await press(bob, message, label)
        assert refused.ephemeral
        assert answer(refused).content == said.data_deleted()
    shown = await alice.slash(world.channel, "show", job_id=job.id)
    assert answer(shown).content == said.data_deleted()
    assert SECRET not in texts(answer(await alice.slash(world.channel, "history")))
    with pytest.raises(Stale), world.backends.database.writing() as session:
        attempts.finish(session, running.job_id, running.attempt, [], {})
    with world.backends.database.reading() as session:
        assert session.scalars(select(Delivery.id).where(Delivery.state == "open")).all() == []
        # What Bob asked for of her picture is his.
        (kept,) = session.scalars(select(Job).where(Job.member_id == bob.id))
        assert kept.state == JobState.QUEUED


async def test_who_draws_again_starts_anew(world: World) -> None:
    alice = world.member("alice")
    await _drawn(world, alice)
    result = await alice.slash(world.channel, "privacy delete")
    await press(alice, answer(result), said.delete_label())
    with world.backends.database.reading() as session:
        assert session.get_one(Member, alice.id).deleted_at is not None
    await _drawn(world, alice, "a new castle")
    with world.backends.database.reading() as session:
        member = session.get_one(Member, alice.id)
        assert (member.deleted_at, member.name) == (None, "alice")
    assert "a new castle" in texts(answer(await alice.slash(world.channel, "history")))


async def test_only_the_member_presses_their_own_deletion(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    await _drawn(world, alice)
    await mallory.slash(world.channel, "privacy delete")
    left = world.post_component(f"e1:ye:{alice.id}")
    refused = await mallory.click(left, custom_id=f"e1:ye:{alice.id}")
    assert refused.ephemeral
    assert _job(world, 1).deleted_at is None
