"""What a refused command has fetched and kept: nothing, in whichever way it brings its pictures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from simcord.http.client import FakeHTTPClient
from sqlalchemy import func, select, update

from bot.messages import pictures, refusals
from storage import moderation
from storage.images import ImageStore
from storage.tables import Bringing
from storage.tables import Member as MemberRow
from tests.bot import drawing, photos
from tests.bot.pressing import job_rows, picked, set_up
from tests.bot.simulated import Channel, Member, World, answer, fill, press
from tests.bot.site import Site
from tests.bot.test_regions import painted

RED, BLUE = (("picture.png", photos.png(colour=colour)) for colour in ("red", "blue"))


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The attachments that were asked of Discord."""
    asked: list[str] = []
    read = FakeHTTPClient.get_from_cdn

    async def noting(self: Any, url: str) -> bytes:
        asked.append(url)
        return await read(self, url)

    monkeypatch.setattr(FakeHTTPClient, "get_from_cdn", noting)
    return asked


@dataclass
class Stage:
    """A member with a picture of theirs, and all that they may need to bring another."""

    world: World
    alice: Member
    site: Site
    grid: Any
    single: Any
    shown: Any
    """A message with a picture that was uploaded."""
    channel: Channel

    async def command(self, name: str, **options: Any) -> Any:
        return await self.alice.slash(self.channel, name, **options)

    def image(self) -> int:
        return drawing.images(self.world.backends, 1)[1].id


Bring = Callable[[Stage], Awaitable[Any]]
"""A command or form that brings pictures; what came before is done."""


def command(name: str, **options: Any) -> Callable[[Stage], Awaitable[Bring]]:
    async def ready(stage: Stage) -> Bring:
        links = {
            key: value.format(link=stage.site.link("a"), other=stage.site.link("b"))
            if isinstance(value, str)
            else value
            for key, value in options.items()
        }
        return lambda stage: stage.command(name, **links)

    return ready


def form(label: str, *, grid: bool = False, **fields: Any) -> Callable[[Stage], Awaitable[Bring]]:
    """A button's form, opened in time."""

    async def ready(stage: Stage) -> Bring:
        set_up(stage.world, stage.alice, remix=True)
        opened = await press(stage.alice, stage.grid if grid else stage.single, label)
        filled = {
            key: value.format(link=stage.site.link("a")) if isinstance(value, str) else value
            for key, value in fields.items()
        }
        return lambda stage: fill(stage.alice, opened, **filled)

    return ready


async def _painted_copy(stage: Stage) -> Bring:
    opened = await press(stage.alice, stage.single, "Vary (Region)")
    copy = await painted(stage.single, (0, 0.5, 0.5, 1))
    return lambda stage: fill(stage.alice, opened, prompt="a boat", painted=[("copy.png", copy)])


async def _zoom(stage: Stage) -> Bring:
    """Nothing is fetched, but a sheet is composed."""
    return lambda stage: press(stage.alice, stage.single, "Zoom Out 2×")


async def _used(stage: Stage) -> Any:
    return answer(await stage.alice.context_menu(stage.channel, "Use picture…", stage.shown))


async def _use_described(stage: Stage) -> Bring:
    page = await _used(stage)
    return lambda stage: press(stage.alice, page, "Describe")


async def _use_drawn(stage: Stage) -> Bring:
    opened = await press(stage.alice, await _used(stage), "Image prompt")
    return lambda stage: fill(stage.alice, opened, prompt="a boat")


async def _use_as_mask(stage: Stage) -> Bring:
    copy = ("copy.png", await painted(stage.single, (0, 0.5, 0.5, 1)))
    stage.shown = await stage.alice.send(stage.channel, "look", attachments=[copy])
    opened = await press(stage.alice, await _used(stage), "Mask")
    return lambda stage: fill(stage.alice, opened, prompt="a boat")


WAYS: dict[str, Callable[[Stage], Awaitable[Bring]]] = {
    "imagine, attached": command("imagine", prompt="a castle", image=RED),
    "imagine, two attached": command("imagine", prompt="a castle", image=RED, image2=BLUE),
    "imagine, linked": command("imagine", prompt="{link} a castle"),
    "imagine, --sref": command("imagine", prompt="a castle --sref {link}"),
    "imagine, --cref": command("imagine", prompt="a castle --cref {link}"),
    "imagine, --control": command("imagine", prompt="a castle --control edges", image=RED),
    "a batch": command("imagine", prompt="{{red, blue}} castle --sref {link}", image=RED),
    "describe, attached": command("describe", image=RED),
    "describe, linked": command("describe", link="{link}"),
    "blend": command("blend", image1=RED, image2=BLUE),
    "remix of a variation": form("V1", grid=True, prompt="a boat --sref {link}"),
    "remix of a re-roll": form("🔄", grid=True, prompt="a boat --sref {link}"),
    "remix of a zoom": form("Zoom Out 2×", prompt="a boat --sref {link}"),
    "custom zoom": form("Custom Zoom", prompt="a boat --zoom 2 --cref {link}"),
    "zoom": _zoom,
    "region, places": form("Vary (Region)", prompt="a boat --sref {link}", places=["5"]),
    "region, painted": _painted_copy,
    "use picture, described": _use_described,
    "use picture, drawn from": _use_drawn,
    "use picture, as a mask": _use_as_mask,
}  # fmt: skip


@contextmanager
def _banned(stage: Stage) -> Iterator[str]:
    place = {"member_id": stage.alice.id, "guild_id": stage.world.guild.id, "by": 1}
    with stage.world.backends.database.writing() as session:
        moderation.ban(session, **place, reason="", expires_at=None)
    yield refusals.banned("", None)
    with stage.world.backends.database.writing() as session:
        moderation.unban(session, **place)


@contextmanager
def _paused(stage: Stage) -> Iterator[str]:
    with stage.world.backends.database.writing() as session:
        moderation.pause(session, stage.world.guild.id, 1)
    yield refusals.paused()
    with stage.world.backends.database.writing() as session:
        moderation.resume(session, stage.world.guild.id, 1)


@contextmanager
def _full(stage: Stage) -> Iterator[str]:
    limit = update(MemberRow).where(MemberRow.id == stage.alice.id)
    with stage.world.backends.database.writing() as session:
        session.execute(limit.values(waiting_limit=0))
    yield refusals.queue_full(0)
    with stage.world.backends.database.writing() as session:
        session.execute(limit.values(waiting_limit=10))


@pytest_asyncio.fixture
async def stage(world: World, site: Site) -> Stage:
    world.backends.config.link_hosts = site.address
    alice = world.member("alice")
    grid, single = await picked(world, alice)
    shown = await alice.send(world.channel, "look", attachments=[RED])
    return Stage(world, alice, site, grid, single, shown, world.channel)


def _files(images: ImageStore) -> set[str]:
    return {str(path) for path in images.folder.rglob("*") if path.is_file()}


def _bringings(world: World) -> int:
    with world.backends.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Bringing)) or 0


@pytest.mark.parametrize("way", WAYS)
async def test_who_is_refused_brings_nothing(stage: Stage, fetched: list[str], way: str) -> None:
    before, jobs = _files(stage.world.backends.images), len(job_rows(stage.world))
    for refusing in (_banned, _paused, _full):
        bring = await WAYS[way](stage)
        fetched.clear()
        with refusing(stage) as sentence:
            result = await bring(stage)
        assert answer(result).content.split("\n")[0] == sentence
        assert (fetched, stage.site.asked) == ([], [])
        assert _files(stage.world.backends.images) == before
        assert _bringings(stage.world) == 0
        assert len(job_rows(stage.world)) == jobs
    await (await WAYS[way](stage))(stage)
    assert fetched or stage.site.asked or way == "zoom", "else the table would prove nothing"
    assert _files(stage.world.backends.images) > before
    assert _bringings(stage.world) >= 1


async def test_a_banned_member_has_no_picture_looked_at(stage: Stage, fetched: list[str]) -> None:
    with _banned(stage) as sentence:
        result = await stage.alice.context_menu(stage.channel, "Use picture…", stage.shown)
    assert (answer(result).content, fetched) == (sentence, [])


async def test_where_nothing_may_be_posted_nothing_is_fetched(stage: Stage, fetched: list[str]) -> None:
    stage.channel = stage.world.channel_where_bot("mute", attach_files=False)
    for way in ("imagine, attached", "imagine, --sref", "describe, attached", "describe, linked", "blend"):
        bring = await WAYS[way](stage)
        fetched.clear()
        await bring(stage)
        assert (fetched, stage.site.asked) == ([], []), way
    assert _bringings(stage.world) == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("imagine", {"prompt": "jailbait", "image": RED}),
        ("imagine", {"prompt": "{jailbait, castle} --sref {link}"}),
        ("imagine", {"prompt": "{link} http://127.0.0.1:9/none.png a castle"}),
        ("blend", {"image1": RED, "image2": RED}),
        ("blend", {"image1": RED, "image2": ("notes.png", b"words")}),
    ],
)
async def test_what_is_refused_for_its_words_or_pictures_keeps_nothing(
    stage: Stage, name: str, options: dict[str, Any]
) -> None:
    before, jobs = _files(stage.world.backends.images), len(job_rows(stage.world))
    link = stage.site.link("a")
    given = {
        key: value.replace("{link}", link) if isinstance(value, str) else value
        for key, value in options.items()
    }
    await stage.command(name, **given)
    assert len(job_rows(stage.world)) == jobs
    assert _files(stage.world.backends.images) == before
    assert _bringings(stage.world) == 0


async def test_a_refusal_takes_nothing_from_another_command(stage: Stage) -> None:
    """The same picture, in a job of the same member's and in a question that waits for its yes."""
    await stage.command("describe", image=RED)
    await stage.command("imagine", prompt="{a, b} castle", image=BLUE)
    kept = _files(stage.world.backends.images)
    await stage.command("blend", image1=RED, image2=("notes.png", b"words"))
    refused = await stage.command("blend", image1=BLUE, image2=BLUE)
    assert answer(refused).content == pictures.duplicate_images()
    assert _files(stage.world.backends.images) == kept
