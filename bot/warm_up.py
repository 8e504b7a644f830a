"""The first `/imagine`, rehearsed before anybody can type it.

Statements are put together and compiled once, sentences' languages are read once. Were that left to the first
members who come after a start, all at once perhaps, their answers would wait for it.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from actions import submit
from actions.permissions import Channel
from actions.submit import SubmissionContext
from bot import messages
from prompts import parser, sentences
from prompts.translation import LANGUAGES, spoken
from storage import jobs, submissions
from storage.backends import Backends
from storage.contract import Action
from storage.errors import Refused
from storage.tables import Address

_PROMPT = "a picture"
_NOBODY = 0
"""The id of no member and no guild."""


class _Over(Exception):
    """Takes back what was written."""


def rehearse(backends: Backends) -> None:
    """Parse, check and write a job, and take it back. Blocks for a tenth of a second or so."""
    address = Address(_NOBODY, guild_id=_NOBODY, channel_id=_NOBODY, token_expires_at=0)
    context = SubmissionContext(address, "", _NOBODY, Channel(_NOBODY), press="rehearsal")
    with backends.database.reading() as session:
        preferences = submit.preferences_of(session, _NOBODY)
    try:
        (parsed,) = parser.parse_all(_PROMPT, backends.catalog, preferences)
        sentences.hints([parsed], backends.catalog)
        with backends.database.writing() as session:
            _write(session, context, parsed)
    except (_Over, Refused):
        return


def _write(session: Session, context: SubmissionContext, parsed: parser.Parsed) -> None:
    draft = submit.draft_of(context, Action.IMAGINE, parsed.tokens, parsed.request)
    submit.check_draft(session, draft)
    submission = submissions.submit(session, draft)
    jobs.set_progress_message(session, submission.job.id, _NOBODY)
    for locale in LANGUAGES:
        with spoken(locale):
            messages.waiting(submission.job, submission.ahead)
    raise _Over
