"""In a word, what a job or a batch has become, and where to see it."""

from __future__ import annotations

from prompts.translation import N_, _
from storage import batches
from storage.contract import JobState

_NAMES = {
    JobState.QUEUED: N_("queued"),
    JobState.RUNNING: N_("running"),
    JobState.SUCCEEDED: N_("succeeded"),
    JobState.FAILED: N_("failed"),
    JobState.CANCELLED: N_("cancelled"),
    JobState.WITHHELD: N_("withheld"),
    batches.PROPOSED: N_("proposed"),
    batches.CONFIRMED: N_("confirmed"),
    batches.DECLINED: N_("declined"),
    batches.EXPIRED: N_("expired"),
    batches.FINISHED: N_("finished"),
}


def named(state: str) -> str:
    """A job's or a batch's state, to follow "it was" or "it is"."""
    return _(_NAMES[state])


def jump(url: str) -> str:
    """A link to a message."""
    return _("[jump]({url})").format(url=url)
