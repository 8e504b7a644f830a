"""The pages of `/history` and `/favorites`: five jobs with thumbnails, found by words and filters."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import discord
from PIL import Image as PilImage
from sqlalchemy.orm import Session

from actions.image_decoding import stored
from bot.components.custom_ids import CustomId
from bot.components.history_search import DAYS, KINDS, Search, model_number
from bot.components.jump_links import jump_url
from bot.components.press import Interaction, Press, Pressed, button, on_press
from bot.components.responses import defer_if_slow, show_privately, update
from bot.messages import histories
from prompts.translation import _
from storage import image_encoding, jobs, members
from storage.backends import Backends
from storage.catalog import Catalog
from storage.errors import ImageMissing
from storage.images import ImageStore
from storage.tables import Image, Job

PAGE = 5
"""Jobs a page: each takes six of the 40 components that a message may have, and the rest takes ten."""
THUMBNAIL = 256
CHOICES = 25
"""Entries that Discord allows in one menu."""


@dataclass(frozen=True, kw_only=True)
class WithThumbnail:
    thumbnail: bytes | None = None
    """WebP; None where there are no pictures to show, or the store has lost one."""


@dataclass(frozen=True)
class HistoryEntry(WithThumbnail):
    job: Job
    jump_url: str | None
    own: bool

    @property
    def file_name(self) -> str:
        return f"job_{self.job.id}.webp"


E = TypeVar("E", bound=WithThumbnail)


@dataclass(frozen=True)
class HistoryPage:
    wanted: Search
    entries: tuple[HistoryEntry, ...]
    newer: bool
    older: bool

    def files(self) -> list[discord.File]:
        shown = ((entry.thumbnail, entry.file_name) for entry in self.entries)
        return [discord.File(io.BytesIO(data), name) for data, name in shown if data is not None]


async def load_page(
    backends: Backends, member_id: int, wanted: Search, before: int | None = None, after: int | None = None
) -> HistoryPage:
    """The page of jobs older than `before`, or newer than `after`, or else the newest."""

    def read(session: Session) -> tuple[list[tuple[HistoryEntry, list[Image]]], bool]:
        model = None if wanted.model is None else wanted.model_name(backends.catalog) or ""
        found = members.history(
            session,
            member_id,
            wanted.words,
            before,
            PAGE + 1,
            after=after,
            favorites=wanted.favorites,
            model=model,
            actions=wanted.actions,
            days=wanted.days,
        )
        shown = found[:PAGE] if after is None else found[-PAGE:]
        entries = [_entry(session, job, member_id, marked=wanted.favorites) for job in shown]
        return entries, len(found) > PAGE

    found, more = await backends.database.read(read)
    entries = await with_thumbnails(backends.images, found)
    newer, older = (before is not None, more) if after is None else (more, True)
    return HistoryPage(wanted, entries, newer, older)


def _entry(session: Session, job: Job, member_id: int, *, marked: bool) -> tuple[HistoryEntry, list[Image]]:
    """With the job's pictures, or those alone that the member marked."""
    images = members.marked(session, member_id, [job.id]) if marked else shown_images(session, job)
    return HistoryEntry(job, jump_url(session, job), job.member_id == member_id), list(images)


async def with_thumbnails(store: ImageStore, found: Sequence[tuple[E, Sequence[Image]]]) -> tuple[E, ...]:
    """Entries with thumbnails of their pictures, which are decoded while no transaction is open."""
    drawn = await asyncio.to_thread(lambda: [thumbnail(store, images) for _, images in found])
    return tuple(replace(entry, thumbnail=each) for (entry, _), each in zip(found, drawn, strict=True))


def shown_images(session: Session, job: Job) -> list[Image]:
    """The job's pictures that may be seen."""
    return [image for image in jobs.images_of(session, job.id) if not image.withheld]


def thumbnail(store: ImageStore, images: Sequence[Image]) -> bytes | None:
    """A small WebP of the pictures side by side; None without any, or where the store has lost one."""
    try:
        tiles = [_tile(store, image) for image in images]
    except ImageMissing:
        return None
    if not tiles:
        return None
    sheet = image_encoding.grid(tiles)
    sheet.thumbnail((THUMBNAIL, THUMBNAIL))
    return image_encoding.webp_bytes(sheet)


def _tile(store: ImageStore, image: Image) -> PilImage.Image:
    with stored(store.load(image.key)) as picture:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        return picture


def history(page: HistoryPage, catalog: Catalog) -> discord.ui.LayoutView:
    """A page of pictures with their prompts and buttons, and menus to filter and to take them."""
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(_box(page, catalog))
    view.add_item(discord.ui.ActionRow(_filters(page.wanted, catalog)))
    if page.entries:
        view.add_item(discord.ui.ActionRow(_taking(page.entries)))
    view.add_item(discord.ui.ActionRow(*_turning(page)))
    return view


def _box(page: HistoryPage, catalog: Catalog) -> discord.ui.Container[Any]:
    wanted = page.wanted
    entry = catalog.models.get(wanted.model_name(catalog) or "")
    title = histories.title(
        wanted.words,
        favorites=wanted.favorites,
        filters=histories.filters(wanted.kind, wanted.days, None if entry is None else entry.title),
        empty=not page.entries,
    )
    box: discord.ui.Container[Any] = discord.ui.Container(discord.ui.TextDisplay(title))
    for one in page.entries:
        text: discord.ui.TextDisplay[Any] = discord.ui.TextDisplay(histories.entry(one.job, one.jump_url))
        if one.thumbnail is None:
            box.add_item(text)
        else:
            image: discord.ui.Thumbnail[Any] = discord.ui.Thumbnail(f"attachment://{one.file_name}")
            box.add_item(discord.ui.Section(text, accessory=image))
        show = button("hs", one.job.id, label=_("Show"), disabled=not one.own)
        box.add_item(discord.ui.ActionRow(show, button("er", one.job.id, label=_("Edit & run"))))
    return box


def _filters(wanted: Search, catalog: Catalog) -> Press:
    """The menu of filters; its `custom_id` says which are on."""
    options = [
        discord.SelectOption(label=histories.kind(kind), value=kind, default=kind == wanted.kind)
        for kind in KINDS
    ]
    options += [
        discord.SelectOption(label=histories.days(days), value=str(days), default=days == wanted.days)
        for days in DAYS
    ]
    if len(catalog.models) > 1:
        options += [
            discord.SelectOption(label=entry.title[:100], value=f"m{number}", default=number == wanted.model)
            for number, entry in ((model_number(name), entry) for name, entry in catalog.models.items())
        ]
    options = options[:CHOICES]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id=str(CustomId("hw", 0, wanted.number, wanted.words)),
        placeholder=histories.filter_label(),
        options=options,
        min_values=0,
        max_values=len(options),
    )
    return Press(menu)


def _taking(entries: Sequence[HistoryEntry]) -> Press:
    """The menu in which jobs are chosen to be taken away as a ZIP file."""
    options = [
        discord.SelectOption(label=histories.choice(entry.job), value=str(entry.job.id)) for entry in entries
    ]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id=str(CustomId("hz", 0)),
        placeholder=histories.zip_label(),
        options=options,
        max_values=len(options),
    )
    return Press(menu)


def _turning(page: HistoryPage) -> list[Press]:
    """The page's buttons; `n` and `text` are the search."""
    wanted = page.wanted
    first = page.entries[0].job.id if page.entries else 0
    last = page.entries[-1].job.id if page.entries else 0
    others = replace(wanted, favorites=not wanted.favorites)
    n, words = wanted.number, wanted.words
    return [
        button("hn", first, n, label=_("Newer"), emoji="◀️", text=words, disabled=not page.newer),
        button("ho", last, n, label=_("Older"), emoji="▶️", text=words, disabled=not page.older),
        button("hf", 0, others.number, emoji="❤️", text=words, used=wanted.favorites),
    ]


async def _turn(
    pressed: Pressed, wanted: Search, before: int | None = None, after: int | None = None
) -> None:
    interaction, backends = pressed.interaction, pressed.backends

    async def work() -> HistoryPage:
        page = await load_page(backends, interaction.user.id, wanted, before, after)
        if page.entries or (before is None and after is None):
            return page
        return await load_page(backends, interaction.user.id, wanted)

    page = await defer_if_slow(interaction, work(), thinking=False)
    await update(interaction, history(page, backends.catalog), files=page.files())


def _search(pressed: Pressed) -> Search:
    return Search.of(pressed.n, pressed.custom_id.text)


@on_press("hn")
async def _newer(pressed: Pressed) -> None:
    await _turn(pressed, _search(pressed), after=pressed.id)


@on_press("ho")
async def _older(pressed: Pressed) -> None:
    await _turn(pressed, _search(pressed), before=pressed.id)


@on_press("hf")
async def _favorites(pressed: Pressed) -> None:
    await _turn(pressed, _search(pressed))


@on_press("hw")
async def _filter(pressed: Pressed) -> None:
    await _turn(pressed, _search(pressed).choose(pressed.values))


async def open_history(interaction: Interaction, backends: Backends, wanted: Search) -> None:
    """Answer `/history` or `/favorites` with its newest page."""
    page = await defer_if_slow(interaction, load_page(backends, interaction.user.id, wanted), ephemeral=True)
    await show_privately(interaction, history(page, backends.catalog), page.files())
