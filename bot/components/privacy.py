"""A member's data: asked for, and deleted once they have said so twice."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.components.press import Interaction, Pressed, button, host, on_press
from bot.components.responses import defer_if_slow, respond, update
from bot.components.submission_context import address_of
from bot.discord_io import removals
from bot.messages import privacy as sentences
from storage import exports, privacy
from storage.errors import NotYours
from storage.tables import Image, Job


async def send_export(interaction: Interaction, after: int | None = None) -> None:
    """Have the member's data put together, and tell them so; `bot/exports.py` hands it over."""
    database, address = host(interaction).backends.database, address_of(interaction)
    asked = await defer_if_slow(interaction, database.write(exports.ask, address, after), ephemeral=True)
    if asked is None:
        await respond(interaction, sentences.nothing_stored(), ephemeral=True)
        return
    row, fresh = asked
    sentence = sentences.export_begun(continued=after is not None) if fresh else sentences.export_under_way()
    await respond(interaction, sentence, ephemeral=True)
    if fresh:
        await database.write(exports.begin, row.id)


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
    """Numbers of jobs and pictures that there are to delete."""
    mine = (Job.member_id == member_id, Job.deleted_at.is_(None))
    kept = select(func.count()).select_from(Image).join(Job, Job.id == Image.job_id)
    return (
        session.scalars(select(func.count()).select_from(Job).where(*mine)).one(),
        session.scalars(kept.where(*mine, Image.deleted_at.is_(None))).one(),
    )


def question(member_id: int, jobs: int, images: int) -> discord.ui.LayoutView:
    """Question with the amounts that would be deleted, and a button that does it."""
    return _panel(
        sentences.really_delete(jobs, images),
        button("ye", member_id, label=sentences.delete_label(), style=discord.ButtonStyle.danger),
        button("yk", member_id, label=sentences.keep_label()),
    )


@on_press("ye")
async def _delete(pressed: Pressed) -> None:
    interaction, backends = pressed.interaction, pressed.backends
    if interaction.user.id != pressed.id:
        raise NotYours
    work = asyncio.to_thread(privacy.erase, backends, pressed.id)
    deleted = await defer_if_slow(interaction, work, thinking=False)
    host(interaction).languages.choose(pressed.id, None)
    await update(interaction, _panel(sentences.deleted(deleted.jobs)))
    await removals.delete_progress(interaction.client, backends, deleted.interrupted)


@on_press("yk")
async def _keep(pressed: Pressed) -> None:
    await update(pressed.interaction, _panel(sentences.kept()))
