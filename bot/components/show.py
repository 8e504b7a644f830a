"""A member's own job, posted again with fresh buttons: `/show` and the button in `/history`."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from actions import policy, submit
from actions.submit import SubmissionContext
from bot.components.press import Interaction, Pressed, host, on_press
from bot.components.responses import defer_if_slow, respond
from bot.components.submission_context import context_of
from bot.messages import panels
from storage import deliveries, jobs
from storage.contract import ChangedEvent, JobState
from storage.tables import Job


async def show_again(interaction: Interaction, job_id: int) -> None:
    """Post the pictures of a job of the member's here; privately say why not where that cannot be.

    Raises:
        NoSuchJob, NotYours, MissingPermissions, NotAgeRestricted, and what `policy` refuses.
    """
    backends = host(interaction).backends
    context = context_of(interaction)
    submit.check_place(backends, context)

    def allowed(session: Session) -> Job:
        job = jobs.own(session, job_id, context.member_id)
        policy.check_asked(session, context.member_id, context.address.guild_id)
        policy.check_shown(session, job, context.member_id, context.address.guild_id)
        return job

    def request(session: Session) -> Job:
        job = allowed(session)
        if job.state == JobState.SUCCEEDED:
            request_here(session, context, job_id)
        return job

    await defer_if_slow(interaction, backends.database.read(allowed), ephemeral=True)
    job = await defer_if_slow(interaction, backends.database.write(request), ephemeral=True)
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    await respond(interaction, panels.shown_again(job), ephemeral=True)


def request_here(session: Session, context: SubmissionContext, job_id: int) -> None:
    """Ask for a finished job's pictures once more, where the command came from if `policy` lets them show."""
    # No reply: what is shown again stands for itself.
    address = replace(context.address, reply_to=None)
    deliveries.request_again(session, address, job_id=job_id, once=f"show:{context.interaction_id}")


@on_press("hs")
async def _show(pressed: Pressed) -> None:
    await show_again(pressed.interaction, pressed.id)
