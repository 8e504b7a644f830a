"""Links to Easel's own messages."""

from __future__ import annotations

from sqlalchemy.orm import Session

from storage import deliveries
from storage.contract import JobState
from storage.tables import Batch, Job


def jump_url(session: Session, job: Job) -> str | None:
    """The newest message that shows a job's pictures, or where it is waited for."""
    shown = deliveries.messages_of(session, job.id)
    if shown:
        return _url(shown[-1].guild_id, shown[-1].channel_id, shown[-1].id)
    return None if job.state == JobState.SUCCEEDED else progress_url(job)


def progress_url(job: Job | Batch) -> str | None:
    """Link to a job's or a batch's progress; what its member alone sees has no address."""
    if job.ephemeral or job.progress_message_id is None or job.channel_id is None:
        return None
    return _url(job.guild_id, job.channel_id, job.progress_message_id)


def _url(guild_id: int | None, channel_id: int, message_id: int) -> str:
    return f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}"
