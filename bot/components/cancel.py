"""The button that stops a job: for its owner and for moderators."""

from __future__ import annotations

import discord
from sqlalchemy.orm import Session

from bot.components.press import Interaction, Pressed, button, on_press
from bot.components.responses import defer_if_slow, update
from prompts.translation import N_, _
from storage import jobs, moderation, states
from storage.backends import Backends
from storage.contract import CancelEvent, ChangedEvent
from storage.errors import NotModerator, NotYours
from storage.tables import Batch, Job

LABEL = N_("Cancel Job")


def cancel(job_id: int, *, stopping: bool = False) -> discord.ui.View:
    """The button below a waiting or running job; `stopping` when it was pressed already."""
    view = discord.ui.View(timeout=None)
    label = _("Stopping…") if stopping else _(LABEL)
    view.add_item(button("c", job_id, label=label, disabled=stopping))
    return view


def is_moderator(interaction: Interaction) -> bool:
    """True if this member moderates the whole guild, whatever the channel they are in adds or takes away.

    `interaction.permissions` would be those in the channel, its overwrites included.
    """
    member = interaction.user
    if not isinstance(member, discord.Member):
        return False
    may = member.guild_permissions
    return may.manage_messages or may.moderate_members


def moderates(interaction: Interaction, asked: Job | Batch) -> bool:
    """True if this member may stop what another asked for in this guild, or in this very channel."""
    if interaction.guild_id is None or asked.guild_id != interaction.guild_id:
        return False
    here = asked.channel_id == interaction.channel_id and interaction.permissions.manage_messages
    return here or is_moderator(interaction)


def may_moderate(interaction: Interaction) -> None:
    """Raise NotModerator for everybody else; who sees a command or button is Discord's own, weaker, check."""
    if not is_moderator(interaction):
        raise NotModerator


async def stop(interaction: Interaction, backends: Backends, job_id: int) -> None:
    """Cancel the job for whoever pressed: its owner, or a moderator of its guild or of its channel.

    Raises:
        NoSuchJob, AlreadyFinished, NotYours: nothing was changed.
    """
    presser = interaction.user.id

    def change(session: Session) -> Job:
        job = jobs.get(session, job_id)
        if job.member_id == presser:
            states.cancel(session, job_id)
        elif moderates(interaction, job):
            moderation.cancel_by_moderator(session, job_id, presser)
        else:
            raise NotYours
        return jobs.get(session, job_id)

    job = await backends.database.write(change)
    # The worker listens for the one, the delivery of what never ran for the other.
    backends.events.publish(CancelEvent(job_id=job_id))
    backends.events.publish(ChangedEvent(job_id=job_id, sequence=job.sequence))


@on_press("c")
async def _cancel(pressed: Pressed) -> None:
    work = stop(pressed.interaction, pressed.backends, pressed.id)
    await defer_if_slow(pressed.interaction, work, thinking=False)
    await update(pressed.interaction, cancel(pressed.id, stopping=True))
