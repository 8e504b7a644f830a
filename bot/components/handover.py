"""Handover of a job that outlasts its 15 minutes where Easel may not post: a press gives 15 new ones."""

from __future__ import annotations

import discord
from sqlalchemy.orm import Session

from actions import policy, submit
from bot import messages
from bot.components.batch import cancel_batch, cancel_button
from bot.components.cancel import LABEL, cancel
from bot.components.press import Interaction, Pressed, button, on_press
from bot.components.responses import defer_if_slow, edit
from bot.components.show import request_here
from bot.components.submission_context import address_of, context_of
from bot.messages import batches as batch_messages
from prompts.translation import N_, _
from storage import batches, jobs, states
from storage.batches import Tally
from storage.contract import ChangedEvent, JobState
from storage.tables import Address, Batch, Job

SHOW = N_("Show")


def handed_over(job_id: int, *, stopping: bool = False) -> discord.ui.View:
    """The buttons below a job whose message cannot be changed any more, except by a press."""
    view = _show(job_id)
    view.add_item(button("c", job_id, label=_("Stopping…") if stopping else _(LABEL), disabled=stopping))
    return view


def handed_over_batch(batch_id: int, *, stopping: bool = False) -> discord.ui.View:
    """The same below a batch's."""
    view = discord.ui.View(timeout=None)
    view.add_item(button("bs", batch_id, label=_(SHOW)))
    view.add_item(cancel_button(batch_id, stopping=stopping))
    return view


def _show(job_id: int) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(button("sh", job_id, label=_(SHOW)))
    return view


@on_press("sh")
async def _show_here(pressed: Pressed) -> None:
    """Show in the pressed message how far the job is, and go on there; or post its pictures below."""
    interaction, backends = pressed.interaction, pressed.backends
    context = context_of(interaction)
    submit.check_place(backends, context)
    work = backends.database.read(_read, pressed.id, context.address)
    job, ahead = await defer_if_slow(interaction, work, thinking=False)
    if not JobState(job.state).finished:
        await edit(interaction, _unfinished(job, ahead), cancel(job.id))
        # Not before the answer: until then Discord does not know the token.
        job = await backends.database.write(_take_up, interaction, job.id)
    if job.state == JobState.SUCCEEDED:
        await edit(interaction, messages.shown_below(job), _show(job.id))
        await backends.database.write(request_here, context, job.id)
    elif JobState(job.state).finished:
        await edit(interaction, messages.without_pictures(job), None)
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))


@on_press("bs")
async def _show_batch_here(pressed: Pressed) -> None:
    """Show in the pressed message how far the batch is, and go on there with what is left of it."""
    interaction, backends = pressed.interaction, pressed.backends
    context = context_of(interaction)
    submit.check_place(backends, context)
    work = backends.database.read(_read_batch, pressed.id, context.address)
    batch, tally = await defer_if_slow(interaction, work, thinking=False)
    stopping = batch.cancel_requested_at is not None
    view = None if tally.finished else cancel_batch(batch.id, stopping=stopping)
    await edit(interaction, batch_messages.progress(batch, tally), view)
    # Not before the answer: until then Discord does not know the token.
    for job in await backends.database.write(_take_up_batch, interaction, batch.id):
        backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))


def _read_batch(session: Session, batch_id: int, here: Address) -> tuple[Batch, Tally]:
    batch = batches.own(session, batch_id, here.member_id)
    for job in batches.jobs_of(session, batch_id):
        policy.check_shown(session, job, here.member_id, here.guild_id)
    return batch, batches.tally(session, batch_id)


def _take_up_batch(session: Session, interaction: Interaction, batch_id: int) -> list[Job]:
    assert interaction.message is not None
    return batches.resume(session, batch_id, interaction.message.id, address_of(interaction))


def _read(session: Session, job_id: int, here: Address) -> tuple[Job, int]:
    job = jobs.own(session, job_id, here.member_id)
    policy.check_shown(session, job, here.member_id, here.guild_id)
    return job, jobs.ahead(session, job_id)


def _unfinished(job: Job, ahead: int) -> str:
    if job.cancel_requested_at is not None:
        return messages.stopping(job)
    return messages.waiting(job, ahead) if job.state == JobState.QUEUED else messages.progress(job, 0)


def _take_up(session: Session, interaction: Interaction, job_id: int) -> Job:
    assert interaction.message is not None
    return states.resume(session, job_id, interaction.message.id, address_of(interaction))
