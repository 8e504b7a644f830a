"""`easel withhold`: the operator's decision about a job's pictures, wherever they are shown."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from easel import start
from storage import jobs, moderation, states, takedowns
from storage.contract import CancelEvent, ChangedEvent
from storage.errors import AlreadyFinished, ConfigError, DataDeleted, NoSuchJob
from storage.takedowns import EVERYWHERE, OPERATOR

Number = Annotated[int, typer.Argument(help="The job's number, as ℹ️ and reports show it.")]
Undo = Annotated[bool, typer.Option("--undo", help="Let the job be shown again.")]


def withhold(job_id: Number, undo: Undo = False) -> None:
    """Show a job's pictures to nobody any more, and have the bot delete their messages in every server."""
    with start.backends(start.configure(quiet=True)) as backends:
        try:
            with backends.database.writing() as session:
                said = _restore(session, job_id) if undo else _withhold(session, job_id)
                sequence = jobs.get(session, job_id).sequence
        except NoSuchJob:
            raise ConfigError(f"There is no job {job_id}.") from None
        except DataDeleted:
            raise ConfigError(f"Job {job_id} is deleted already, with its member's data.") from None
        if not undo:
            backends.events.publish(CancelEvent(job_id=job_id))
        backends.events.publish(ChangedEvent(job_id=job_id, sequence=sequence))
    typer.echo(said)


def _withhold(session: Session, job_id: int) -> str:
    with suppress(AlreadyFinished):
        states.cancel(session, job_id)
    messages = takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)
    job = jobs.get(session, job_id)
    moderation.audit(
        session,
        guild_id=job.guild_id,
        actor_id=OPERATOR,
        action="withhold_everywhere",
        target_id=job.member_id,
        job_id=job_id,
    )
    return f"Job {job_id} is withheld. The bot deletes the messages that show it ({len(messages)})."


def _restore(session: Session, job_id: int) -> str:
    jobs.get(session, job_id)
    if not takedowns.restore(session, job_id, EVERYWHERE, OPERATOR):
        return f"Job {job_id} is not withheld everywhere; what is in one server, its moderators can restore."
    return f"Job {job_id} may be shown again; its member can, with /show. Deleted messages do not come back."
