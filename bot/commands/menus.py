"""Context menus below *Apps*, for a right click on a message or a member."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.components.ban import ban_form, may_be_banned
from bot.components.cancel import may_moderate, stop
from bot.components.member_jobs import member_jobs, read_member_jobs
from bot.components.modals import open_form
from bot.components.press import Interaction, host
from bot.components.responses import defer_if_slow, respond, show_privately
from bot.components.retract import RetractionSubject, retract
from bot.components.send_to_dm import send_home
from bot.components.submission_context import is_user_install
from bot.components.use_picture import offer
from bot.messages import finding, image_actions, panels
from storage import jobs, reports
from storage.errors import NotYours
from storage.tables import Batch

_GUILD_ONLY = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
_INSTALLED_THERE = app_commands.AppInstallationType(guild=True, user=False)


@app_commands.context_menu(name="Cancel Job")
async def cancel_job(interaction: Interaction, message: discord.Message) -> None:
    backends = host(interaction).backends
    subject = await defer_if_slow(
        interaction, backends.database.read(RetractionSubject.of_message, message.id), ephemeral=True
    )
    if subject.job.member_id != interaction.user.id and not isinstance(subject.job, Batch):
        await defer_if_slow(interaction, stop(interaction, backends, subject.job.id), ephemeral=True)
        await respond(interaction, panels.cancelled_by_moderator(subject.job.id), ephemeral=True)
        return
    work = retract(interaction.client, backends, interaction.user.id, message.channel.id, message.id)
    outcome = await defer_if_slow(interaction, work, ephemeral=True)
    await respond(interaction, finding.retracted(outcome.name.lower()), ephemeral=True)


@app_commands.context_menu(name="DM Results")
async def dm_results(interaction: Interaction, message: discord.Message) -> None:
    backends, member_id = host(interaction).backends, interaction.user.id
    asked_in = interaction.guild_id

    async def work() -> None:
        subject = await backends.database.read(RetractionSubject.of_message, message.id)
        if isinstance(subject.job, Batch):
            raise NotYours
        jobs.check_seen_by(subject.job, member_id)
        client, job_id = interaction.client, subject.job.id
        await send_home(client, backends, member_id, job_id, subject.image_id, asked_in=asked_in)

    await defer_if_slow(interaction, work(), ephemeral=True)
    await respond(interaction, image_actions.sent_home(), ephemeral=True)


@app_commands.context_menu(name="Report Job")
async def report_job(interaction: Interaction, message: discord.Message) -> None:
    backends, guild_id = host(interaction).backends, interaction.guild_id
    if guild_id is None or is_user_install(interaction):
        await respond(interaction, finding.nobody_moderates(), ephemeral=True)
        return

    async def work() -> bool:
        subject = await backends.database.read(RetractionSubject.of_message, message.id)
        if isinstance(subject.job, Batch):
            raise NotYours
        return await backends.database.write(reports.report, subject.job.id, guild_id, interaction.user.id)

    fresh = await defer_if_slow(interaction, work(), ephemeral=True)
    await respond(interaction, finding.reported(fresh=fresh), ephemeral=True)


@app_commands.context_menu(name="Use picture…")
async def use_picture(interaction: Interaction, message: discord.Message) -> None:
    await offer(interaction, message)


@app_commands.context_menu(name="Jobs of Member")
async def jobs_of_member(interaction: Interaction, member: discord.Member) -> None:
    may_moderate(interaction)
    assert interaction.guild_id is not None
    work = host(interaction).backends.database.read(read_member_jobs, member.id, interaction.guild_id)
    found = await defer_if_slow(interaction, work, ephemeral=True)
    await show_privately(interaction, member_jobs(member.id, found))


@app_commands.context_menu(name="Ban from Easel")
async def ban_member(interaction: Interaction, member: discord.Member) -> None:
    may_moderate(interaction)
    if not may_be_banned(interaction, member):
        await respond(interaction, panels.no_self_ban(), ephemeral=True)
        return
    await open_form(interaction, ban_form(member.id, member.display_name))


for _menu in (jobs_of_member, ban_member):
    _menu.default_permissions = discord.Permissions(manage_messages=True)
    _menu.allowed_contexts = _GUILD_ONLY
    _menu.allowed_installs = _INSTALLED_THERE

MENUS = (cancel_job, dm_results, report_job, use_picture, jobs_of_member, ban_member)
