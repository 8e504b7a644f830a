"""🗑 below a single picture: asks its owner, or a moderator, and then takes it away."""

from __future__ import annotations

import discord
from sqlalchemy.orm import Session

from bot import removals
from bot.messages import deeds
from bot.translation import _
from bot.views.answering import conclude, in_time, say
from bot.views.cancels import is_moderator
from bot.views.press import Interaction, Pressed, button, on_press
from storage import jobs, moderation
from storage.errors import NotYours
from storage.tables import Job


def confirmation(image_id: int) -> discord.ui.View:
    """Yes and No, for as long as the question is there."""
    view = discord.ui.View(timeout=None)
    view.add_item(button("rmy", image_id, label=_("Delete"), style=discord.ButtonStyle.danger))
    view.add_item(button("rmn", image_id, label=_("Keep")))
    return view


def _deletable(session: Session, interaction: Interaction, image_id: int) -> Job:
    """The picture's job, where this member may delete it.

    Raises:
        NoSuchImage, NotYours
    """
    _, job = jobs.image(session, image_id)
    mine = job.member_id == interaction.user.id
    if not mine and not (is_moderator(interaction) and job.guild_id == interaction.guild_id):
        raise NotYours
    return job


@on_press("rm")
async def _ask(pressed: Pressed) -> None:
    interaction = pressed.interaction
    work = pressed.backends.database.read(_deletable, interaction, pressed.id)
    await in_time(interaction, work, ephemeral=True)
    await say(interaction, deeds.really_delete(), view=confirmation(pressed.id), ephemeral=True)


@on_press("rmy")
async def _delete(pressed: Pressed) -> None:
    interaction, backends = pressed.interaction, pressed.backends

    async def work() -> bool:
        job = await backends.database.read(_deletable, interaction, pressed.id)
        left = await removals.take_down(interaction.client, backends, job.id, pressed.id)
        if job.member_id != interaction.user.id:
            await backends.database.write(_note, job, interaction.user.id)
        return bool(left)

    message_stays = await in_time(interaction, work(), thinking=False)
    await conclude(interaction, deeds.deleted(message_stays=message_stays))


def _note(session: Session, job: Job, by: int) -> None:
    """A moderator's deletion goes into the log."""
    moderation.audit(
        session,
        guild_id=job.guild_id,
        actor_id=by,
        action="delete",
        target_id=job.member_id,
        job_id=job.id,
    )


@on_press("rmn")
async def _keep(pressed: Pressed) -> None:
    await conclude(pressed.interaction, deeds.kept())
