"""One policy for every post: each way to cause one, under each reason why it may not be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.messages import refusals
from storage import deliveries, jobs, moderation, reports, takedowns, words
from storage.contract import JobState
from storage.tables import Address, Delivery, Job, Takedown
from tests.bot import drawing, photos
from tests.bot.pressing import drawn, job_rows
from tests.bot.simulated import Member, World, answer, press, use

MOD = 99
BANNED, PAUSED, WORDS, TAKEN_DOWN, WITHHELD = "banned", "paused", "words", "taken down", "withheld"


@dataclass(frozen=True)
class Scene:
    """What a member made while all was allowed: a grid (job 1), a picture of it, a description (job 2)."""

    world: World
    alice: Member
    grid: Any
    single: Any
    described: Any
    question: Any


async def scene(world: World) -> Scene:
    alice = world.member("alice")
    grid = await drawn(world, alice, "a red castle")
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    await alice.slash(world.channel, "describe", image=("castle.png", photos.png(90, 60)))
    drawing.find(world.backends, prompts=["a castle on a hill", "a fort"])
    described = await world.picture(after=single.id)
    question = answer(await alice.slash(world.channel, "imagine", prompt="a {red, blue} castle"))
    return Scene(world, alice, grid, single, described, question)


def below(label: str, message: str) -> Callable[[Scene], Awaitable[Any]]:
    return lambda scene: press(scene.alice, getattr(scene, message), label)


def old(custom_id: str) -> Callable[[Scene], Awaitable[Any]]:
    return lambda scene: use(scene.alice, scene.world.post_component(custom_id), custom_id)


def slash(name: str, **options: Any) -> Callable[[Scene], Awaitable[Any]]:
    return lambda scene: scene.alice.slash(scene.world.channel, name, **options)


def form(custom_id: str) -> Callable[[Scene], Awaitable[Any]]:
    return lambda scene: scene.world.submit(scene.alice, custom_id, prompt="a green castle", places=["1"])


def menu(name: str) -> Callable[[Scene], Awaitable[Any]]:
    return lambda scene: scene.alice.context_menu(scene.world.channel, name, scene.grid)


async def react(scene: Scene) -> None:
    await scene.alice.react(scene.grid, "✉️")


ANYTHING_NEW = {BANNED, PAUSED, WORDS}
ANY_PICTURE = {*ANYTHING_NEW, TAKEN_DOWN, WITHHELD}
SENT_HOME = {BANNED, WITHHELD}
"""Asked for here, posted in direct messages: there this guild's words and takedowns do not hold."""
CAUSES: dict[str, tuple[Callable[[Scene], Awaitable[Any]], set[str]]] = {
    "/imagine": (slash("imagine", prompt="a castle"), ANYTHING_NEW),
    "/shorten": (slash("shorten", prompt="a big castle"), ANYTHING_NEW),
    "/describe": (slash("describe", image=("castle.png", photos.png(80, 60))), ANYTHING_NEW),
    "Yes to a batch": (below("Yes", "question"), ANYTHING_NEW),
    "/show": (slash("show", job_id=1), ANY_PICTURE),
    "/show, described": (slash("show", job_id=2), {BANNED, PAUSED, WORDS, WITHHELD}),
    "Show in /history": (old("e1:hs:1"), ANY_PICTURE),
    "Show, handed over": (old("e1:sh:1"), ANY_PICTURE - {PAUSED}),
    "U": (below("U2", "grid"), ANY_PICTURE),
    "V": (below("V2", "grid"), ANY_PICTURE),
    "🔄": (below("🔄", "grid"), ANY_PICTURE),
    "upscale": (below("Upscale (Subtle)", "single"), ANY_PICTURE),
    "zoom": (below("Zoom Out 2×", "single"), ANY_PICTURE),
    "region": (form("e1:fr:1"), ANY_PICTURE),
    "Remix": (form("e1:fx:1:1:v"), ANY_PICTURE),
    "Edit & run": (form("e1:fi:1"), ANYTHING_NEW),
    "a found prompt": (below("1️⃣", "described"), {*ANYTHING_NEW, WITHHELD}),
    "other prompts": (below("🔄", "described"), ANYTHING_NEW - {WORDS}),
    "✉️": (below("✉️", "single"), SENT_HOME),
    "DM Results": (menu("DM Results"), SENT_HOME),
    "✉️ as a reaction": (react, SENT_HOME),
}


def impose(scene: Scene, policy: str) -> None:
    guild_id = scene.world.guild.id
    with scene.world.backends.database.writing() as session:
        if policy == BANNED:
            moderation.ban(
                session, member_id=scene.alice.id, guild_id=guild_id, by=MOD, reason="", expires_at=None
            )
        elif policy == PAUSED:
            moderation.pause(session, guild_id, MOD)
        elif policy == WORDS:
            words.forbid(session, guild_id, MOD, "castle")
        elif policy == WITHHELD:
            # The rows alone: the messages are there to be pressed.
            ids = session.scalars(select(Job.id)).all()
            session.add_all([Takedown(job_id=id_, decided_by=0, created_at=1) for id_ in ids])
        else:
            takedowns.take_down(session, 1, guild_id, MOD)


SENTENCES: dict[str, str | tuple[str, ...]] = {
    BANNED: refusals.banned("", None),
    PAUSED: refusals.paused(),
    WORDS: refusals.forbidden_words(["castle"]),
    TAKEN_DOWN: refusals.taken_down(),
    WITHHELD: (refusals.taken_down(everywhere=True), refusals.no_such_picture()),
}


def posts(scene: Scene) -> tuple[int, ...]:
    """All that can have been caused: jobs, deliveries, pictures here and sent home; not why they were not."""
    with scene.world.backends.database.reading() as session:
        rows = [session.scalars(select(func.count()).select_from(table)).one() for table in (Job, Delivery)]
    images = [message for message in scene.world.messages() if message.attachments]
    home = [message for message in scene.world.messages(scene.alice.user.dm_channel) if message.attachments]
    return (*rows, len(images), len(home))


@pytest.mark.parametrize("policy", list(SENTENCES))
async def test_no_way_leads_around_a_policy(world: World, policy: str) -> None:
    at = await scene(world)
    impose(at, policy)
    for name, (cause, refused_by) in CAUSES.items():
        if policy not in refused_by:
            continue
        before = posts(at)
        result = await cause(at)
        await world.env.settle()
        assert posts(at) == before, name
        if result is not None:
            said = answer(result)
            assert said.content.startswith(SENTENCES[policy]), name
            assert result.ephemeral, name


async def test_without_one_all_of_them_lead_somewhere(world: World) -> None:
    """Else the test above would prove nothing."""
    at = await scene(world)
    for name, (cause, _) in CAUSES.items():
        with world.backends.database.writing() as session:
            for job in session.scalars(select(Job).where(Job.state == JobState.QUEUED)):
                job.state = JobState.CANCELLED
        before = posts(at)
        await cause(at)
        await world.env.settle()
        assert posts(at) != before, name


async def test_another_members_stealth_is_shown_to_nobody_else(world: World) -> None:
    at = await scene(world)
    mallory = world.member("mallory")
    with world.backends.database.writing() as session:
        for job in session.scalars(select(Job)):
            job.stealth = True
    stranger = Scene(world, mallory, at.grid, at.single, at.described, at.question)
    for name, (cause, _) in CAUSES.items():
        if name in ("/imagine", "/shorten", "/describe", "Yes to a batch"):
            continue  # nothing of hers; and a question that only she sees
        before = posts(stranger)
        result = await cause(stranger)
        await world.env.settle()
        assert posts(stranger) == before, name
        assert result is None or answer(result).content.startswith(refusals.not_yours()), name


@pytest.mark.parametrize("policy", [BANNED, WORDS, TAKEN_DOWN])
async def test_what_came_between_sends_the_result_home(world: World, policy: str) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    taken = drawing.claim(world.backends)
    impose(Scene(world, alice, None, None, None, None), policy)
    drawing.finish(world.backends, taken)
    home = await world.until(lambda: world.messages(alice.user.dm_channel))
    assert len(home[0].attachments) == 1
    await world.delivered()
    assert not [message for message in world.messages() if message.attachments]


async def test_what_came_between_keeps_a_picture_that_another_asked_for(world: World) -> None:
    """Not even by direct message: it is not theirs."""
    alice, bob = world.member("alice"), world.member("bob")
    grid = await drawn(world, alice, "a red castle")
    await world.bot.close()
    with world.backends.database.writing() as session:
        image = jobs.images_of(session, 1)[0]
        here = Address(bob.id, world.guild.id, world.channel.id)
        deliveries.request_single(session, here, image_id=image.id, once="press:1")
        words.forbid(session, world.guild.id, MOD, "castle")
    await world.restart_bot()
    await world.delivered()
    assert [message.id for message in world.messages() if message.attachments] == [grid.id]
    with world.backends.database.reading() as session:
        row = session.scalars(select(Delivery).where(Delivery.kind == "single")).one()
        assert (row.state, row.error) == ("given_up", "ForbiddenWords: castle")


async def test_a_name_is_asked_words_too(world: World) -> None:
    """Of /describe and /blend the names of the files are what is posted."""
    alice = world.member("alice")
    with world.backends.database.writing() as session:
        words.forbid(session, world.guild.id, MOD, "castle")
    image = ("castle.png", photos.png(90, 60))
    assert "`castle`" in answer(await alice.slash(world.channel, "describe", image=image)).content
    other = ("fort.png", photos.png(60, 90))
    blended = await alice.slash(world.channel, "blend", image1=image, image2=other)
    assert "`castle`" in answer(blended).content
    assert job_rows(world) == []


async def test_a_withheld_picture_comes_back_when_it_is_restored(world: World) -> None:
    alice, mod = world.member("alice"), world.member("mod", manage_messages=True)
    grid = await drawn(world, alice, "a red castle")
    with world.backends.database.writing() as session:
        reports.report(session, 1, world.guild.id, 3)
    await press(mod, answer(await mod.slash(world.channel, "mod reports")), "Withhold")
    assert grid.id not in [message.id for message in world.messages()]
    refused = await alice.slash(world.channel, "show", job_id=1)
    assert answer(refused).content == refusals.taken_down()
    assert "job 1" in answer(await mod.slash(world.channel, "mod restore", job_id=1)).content.lower()
    await alice.slash(world.channel, "show", job_id=1)
    await world.picture(after=grid.id)
    again = answer(await mod.slash(world.channel, "mod restore", job_id=1)).content
    assert "withheld" in again
