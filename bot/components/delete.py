"""🗑 below a single picture: its owner deletes it; a moderator has it shown in their guild no more."""

from __future__ import annotations

import discord
from sqlalchemy.orm import Session

from bot.components.cancel import is_moderator
from bot.components.press import Interaction, Pressed, button, on_press
from bot.components.responses import defer_if_slow, replace_with_text, respond
from bot.discord_io import removals
from bot.messages import image_actions
from prompts.translation import _
from storage import jobs, moderation, takedowns
from storage.errors import NotYours
from storage.tables import Job, Message


def confirmation(image_id: int) -> discord.ui.View:
    """Yes and No, for as long as the question is there."""
    view = discord.ui.View(timeout=None)
    view.add_item(button("rmy", image_id, label=_("Delete"), style=discord.ButtonStyle.danger))
    view.add_item(button("rmn", image_id, label=_("Keep")))
    return view


def _own(session: Session, interaction: Interaction, image_id: int) -> tuple[Job, bool]:
    """The picture's job, and whether it is this member's own; else they moderate this guild.

    Raises:
        NoSuchImage, NotYours
    """
    _, job = jobs.image(session, image_id)
    own = job.member_id == interaction.user.id
    if not own and not is_moderator(interaction):
        raise NotYours
    return job, own


@on_press("rm")
async def _ask(pressed: Pressed) -> None:
    interaction = pressed.interaction
    work = pressed.backends.database.read(_own, interaction, pressed.id)
    _, own = await defer_if_slow(interaction, work, ephemeral=True)
    question = image_actions.really_delete() if own else image_actions.really_take_down()
    await respond(interaction, question, view=confirmation(pressed.id), ephemeral=True)


@on_press("rmy")
async def _delete(pressed: Pressed) -> None:
    """Its owner deletes the picture for good; a moderator takes it out of their guild's sight."""
    interaction, backends = pressed.interaction, pressed.backends

    async def work() -> str:
        job, own = await backends.database.read(_own, interaction, pressed.id)
        if own:
            left = await removals.remove(interaction.client, backends, job.id, pressed.id)
            return image_actions.deleted(message_stays=bool(left))
        shown = await backends.database.write(_take_down, interaction, job, pressed.id)
        left = await removals.delete_messages(interaction.client, shown)
        return image_actions.taken_down(job.id, message_stays=bool(left))

    await replace_with_text(interaction, await defer_if_slow(interaction, work(), thinking=False))


def _take_down(session: Session, interaction: Interaction, job: Job, image_id: int) -> list[Message]:
    guild_id, by = interaction.guild_id, interaction.user.id
    assert guild_id is not None
    shown = takedowns.take_down(session, job.id, guild_id, by, image_id)
    moderation.audit(
        session, guild_id=guild_id, actor_id=by, action="take_down", target_id=job.member_id, job_id=job.id
    )
    return shown


@on_press("rmn")
async def _keep(pressed: Pressed) -> None:
    await replace_with_text(pressed.interaction, image_actions.kept())
