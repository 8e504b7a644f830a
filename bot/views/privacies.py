"""A member's data: sent to them in parts, and deleted once they have said so twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import archives, removals
from bot.archives import Entry
from bot.messages import privacy as said
from bot.views.answering import in_time, promise, say, update
from bot.views.press import Interaction, Pressed, button, host, on_press
from bot.views.zips import MESSAGES, hand_over, room
from storage import privacy
from storage.backends import Backends
from storage.errors import NotYours
from storage.images import ImageStore
from storage.tables import Image, Job, Member

ROWS = 2000
"""Rows of a table in one JSON file: they stay small enough to send."""


@dataclass(frozen=True)
class Export:
    """Some parts of a member's data: the archives of one answer, and what is to come."""

    groups: Sequence[Sequence[Entry]]
    too_large: int
    next_after: int | None
    """The picture after which the next answer begins; None where this one is the last."""


def read_export(
    session: Session, backends: Backends, member_id: int, after: int | None, limit: int
) -> Export:
    """The data after a picture's id; from the beginning, JSON included, for None."""
    row = session.get(Member, member_id)
    name = "" if row is None else row.name
    entries = list(_documents(session, member_id)) if after is None else []
    entries += _files(session, backends.images, member_id, name, after)
    groups, left_out = archives.split(entries, limit)
    now, later = groups[:MESSAGES], groups[MESSAGES:]
    sent = [entry.image_id for group in now for entry in group if entry.image_id is not None]
    following = (sent[-1] if sent else after or 0) if later else None
    return Export(now, len(left_out) if after is None else 0, following)


def _files(
    session: Session, store: ImageStore, member_id: int, name: str, after: int | None
) -> Iterator[Entry]:
    """Each job's movie, if it has one, and its pictures."""
    begun = None if after is None else session.get(Image, after)
    job_id = None if begun is None else begun.job_id
    for image, job in privacy.pictures(session, member_id, after or 0):
        if job.id != job_id and job.movie_key is not None:
            yield Entry.of_movie(store, job, job.movie_key, name)
        job_id = job.id
        yield Entry.of_picture(store, job, image, name)


def _documents(session: Session, member_id: int) -> Iterator[Entry]:
    for name, rows in privacy.export(session, member_id).items():
        for number, start in enumerate(range(0, len(rows), ROWS), 1):
            text = json.dumps(rows[start : start + ROWS], ensure_ascii=False, indent=1)
            yield Entry.of_text(f"{name}_{number}.json" if len(rows) > ROWS else f"{name}.json", text)


async def send_export(interaction: Interaction, after: int | None = None) -> None:
    """Answer with the member's data, as much as one press may send: an archive a message."""
    backends = host(interaction).backends
    await promise(interaction)

    def read(session: Session) -> Export:
        return read_export(session, backends, interaction.user.id, after, room(interaction))

    export = await backends.database.read(read)
    if not export.groups:
        await say(interaction, said.nothing_stored(), ephemeral=True)

    def contents(place: int, lost: int) -> tuple[str, discord.ui.View | None]:
        following = export.next_after if place == len(export.groups) - 1 else None
        text = said.exported(
            begins=after is None and place == 0,
            more=following is not None,
            missing=lost,
            too_large=export.too_large if place == 0 else 0,
        )
        return text, None if following is None else _next(following)

    await hand_over(interaction, export.groups, f"easel_data_{after or 0}", contents)


def _next(after: int) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(button("yp", after, label=said.next_part()))
    return view


@on_press("yp")
async def _next_part(pressed: Pressed) -> None:
    await send_export(pressed.interaction, pressed.id)


def _panel(text: str, *buttons: discord.ui.Item[Any]) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.Container(discord.ui.TextDisplay(text)))
    if buttons:
        view.add_item(discord.ui.ActionRow(*buttons))
    return view


def read_amounts(session: Session, member_id: int) -> tuple[int, int]:
    """How many jobs and pictures there are to delete."""
    mine = (Job.member_id == member_id, Job.deleted_at.is_(None))
    kept = select(func.count()).select_from(Image).join(Job, Job.id == Image.job_id)
    return (
        session.scalars(select(func.count()).select_from(Job).where(*mine)).one(),
        session.scalars(kept.where(*mine, Image.deleted_at.is_(None))).one(),
    )


def question(member_id: int, jobs: int, pictures: int) -> discord.ui.LayoutView:
    """What would be deleted, with a button that does it."""
    return _panel(
        said.really_delete(jobs, pictures),
        button("ye", member_id, label=said.delete_label(), style=discord.ButtonStyle.danger),
        button("yk", member_id, label=said.keep_label()),
    )


@on_press("ye")
async def _delete(pressed: Pressed) -> None:
    interaction, backends = pressed.interaction, pressed.backends
    if interaction.user.id != pressed.id:
        raise NotYours
    work = asyncio.to_thread(privacy.erase, backends, pressed.id)
    deleted = await in_time(interaction, work, thinking=False)
    host(interaction).languages.choose(pressed.id, None)
    await update(interaction, _panel(said.deleted(deleted.jobs)))
    await removals.delete_progress(interaction.client, backends, deleted.interrupted)


@on_press("yk")
async def _keep(pressed: Pressed) -> None:
    await update(pressed.interaction, _panel(said.kept()))
