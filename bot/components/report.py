"""The pages of `/mod reports`: what members showed to the moderators, with buttons to decide."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import discord
from sqlalchemy.orm import Session

from bot.components.cancel import may_moderate
from bot.components.history import WithThumbnail, shown_images, with_thumbnails
from bot.components.jump_links import jump_url
from bot.components.press import Pressed, button, on_press
from bot.components.responses import defer_if_slow, update
from bot.discord_io import removals
from bot.messages import finding
from prompts.translation import _
from storage import reports
from storage.backends import Backends
from storage.contract import CancelEvent, ChangedEvent
from storage.tables import Image, Job, Report

PAGE = 5
"""Reports a page: each takes six of the 40 components that a message may have."""


@dataclass(frozen=True)
class Reported(WithThumbnail):
    report: Report
    job: Job
    """Without words where its member deleted their data."""
    url: str | None

    @property
    def file_name(self) -> str:
        return f"report_{self.report.id}.webp"


@dataclass(frozen=True)
class ReportPage:
    reported: tuple[Reported, ...]
    older: bool

    def files(self) -> list[discord.File]:
        shown = [one for one in self.reported if one.thumbnail is not None]
        return [discord.File(io.BytesIO(one.thumbnail or b""), one.file_name) for one in shown]


async def load_reports(backends: Backends, guild_id: int, before: int | None = None) -> ReportPage:
    """The guild's undecided reports, newest first: those with an id below `before`."""

    def read(session: Session) -> tuple[list[tuple[Reported, list[Image]]], bool]:
        found = reports.undecided(session, guild_id, before, PAGE + 1)
        return [_reported(session, one) for one in found[:PAGE]], len(found) > PAGE

    found, older = await backends.database.read(read)
    return ReportPage(await with_thumbnails(backends.images, found), older)


def _reported(session: Session, report: Report) -> tuple[Reported, list[Image]]:
    job = session.get_one(Job, report.job_id)
    return Reported(report, job, jump_url(session, job)), shown_images(session, job)


def reported(page: ReportPage) -> discord.ui.LayoutView:
    """A page of reports, each with its pictures and its two verdicts."""
    view = discord.ui.LayoutView(timeout=None)
    box: discord.ui.Container[Any] = discord.ui.Container()
    box.add_item(discord.ui.TextDisplay(finding.reports_title(empty=not page.reported)))
    for one in page.reported:
        line = finding.reported_job(one.job, one.report, one.url)
        text: discord.ui.TextDisplay[Any] = discord.ui.TextDisplay(line)
        if one.thumbnail is None:
            box.add_item(text)
        else:
            image: discord.ui.Thumbnail[Any] = discord.ui.Thumbnail(f"attachment://{one.file_name}")
            box.add_item(discord.ui.Section(text, accessory=image))
        withhold = button("rw", one.report.id, label=_("Withhold"), style=discord.ButtonStyle.danger)
        box.add_item(discord.ui.ActionRow(withhold, button("rd", one.report.id, label=_("Dismiss"))))
    view.add_item(box)
    last = page.reported[-1].report.id if page.reported else 0
    older = button("ro", last, label=_("Older"), disabled=not page.older)
    view.add_item(discord.ui.ActionRow(button("rn", 0, label=_("Newest")), older))
    return view


def _guild_of(pressed: Pressed) -> int:
    may_moderate(pressed.interaction)
    assert pressed.interaction.guild_id is not None
    return pressed.interaction.guild_id


async def _turn(pressed: Pressed, before: int | None = None) -> None:
    work = load_reports(pressed.backends, _guild_of(pressed), before)
    page = await defer_if_slow(pressed.interaction, work, thinking=False)
    await update(pressed.interaction, reported(page), files=page.files())


@on_press("ro")
async def _older(pressed: Pressed) -> None:
    await _turn(pressed, pressed.id)


@on_press("rn")
async def _newest(pressed: Pressed) -> None:
    await _turn(pressed)


@on_press("rd")
async def _dismiss(pressed: Pressed) -> None:
    guild_id, by = _guild_of(pressed), pressed.interaction.user.id
    work = pressed.backends.database.write(reports.dismiss, pressed.id, guild_id, by)
    await defer_if_slow(pressed.interaction, work, thinking=False)
    await _turn(pressed)


@on_press("rw")
async def _withhold(pressed: Pressed) -> None:
    interaction, backends, guild_id = pressed.interaction, pressed.backends, _guild_of(pressed)
    work = backends.database.write(reports.withhold, pressed.id, guild_id, interaction.user.id)
    withheld = await defer_if_slow(interaction, work, thinking=False)
    await _turn(pressed)
    if withheld is None:
        return
    job = withheld.job
    backends.events.publish(CancelEvent(job_id=job.id))
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    stay = await removals.delete_messages(interaction.client, withheld.messages)
    if stay:
        await interaction.followup.send(finding.messages_stay(len(stay)), ephemeral=True)
