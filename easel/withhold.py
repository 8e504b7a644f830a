"""`easel withhold`: the operator's decision about a job's pictures, wherever they are shown."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from easel import start
from storage import jobs, moderation, removals, states
from storage.contract import CancelEvent, ChangedEvent
from storage.errors import AlreadyFinished, ConfigError, DataDeleted, NoSuchJob

OPERATOR = 0
"""Who acts in the log, where a moderator has their Discord id."""


Number = Annotated[int, typer.Argument(help="The job's number, as ℹ️ and reports show it.")]


def withhold(job_id: Number) -> None:
    """Show a job's pictures to nobody any more, and have the bot delete their messages in every server."""
    with start.backends(start.configure(quiet=True)) as backends:
        try:
            with backends.database.writing() as session:
                with suppress(AlreadyFinished):
                    states.cancel(session, job_id)
                messages = removals.withhold(session, job_id)
                job = jobs.get(session, job_id)
                moderation.audit(
                    session,
                    guild_id=job.guild_id,
                    actor_id=OPERATOR,
                    action="withhold",
                    target_id=job.member_id,
                    job_id=job_id,
                )
        except NoSuchJob:
            raise ConfigError(f"There is no job {job_id}.") from None
        except DataDeleted:
            raise ConfigError(f"Job {job_id} is deleted already, with its member's data.") from None
        backends.events.publish(CancelEvent(job_id=job_id))
        backends.events.publish(ChangedEvent(job_id=job_id, sequence=job.sequence))
    typer.echo(f"Job {job_id} is withheld. The bot deletes the messages that show it ({messages}).")
