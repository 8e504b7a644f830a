"""From one text to several jobs: the question what is to be made, and the rows once its member says yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from actions import policy, submit
from actions.derivation import ModelGone
from actions.submit import SubmissionContext
from prompts.parser import Parsed
from storage import batches
from storage.backends import Backends
from storage.batches import Confirmation
from storage.contract import Action, GenerationRequest, Speed
from storage.drafts import JobDraft
from storage.errors import Refused
from storage.tables import Batch

MOST_THROUGH_TOKEN = 4
"""Results that one interaction takes where only its token can post: Discord allows five follow-ups."""
WAKE = 3
"""Tickets for a batch: as many of a member's jobs run at a time as a rule."""


class TooManyHere(Refused):
    """The place cannot show so many results."""

    def __init__(self, size: int, most: int = MOST_THROUGH_TOKEN) -> None:
        super().__init__(f"{size} jobs, at most {most}")
        self.size, self.most = size, most


@dataclass(frozen=True)
class Proposal:
    """A batch that waits for its yes, and what its member is asked."""

    batch: Batch
    understood: Sequence[Parsed]


async def propose(
    backends: Backends, context: SubmissionContext, typed: str, parsed: Sequence[Parsed]
) -> Proposal:
    """Remember what `typed` was understood as until its member says yes.

    Raises:
        Refused: any of its kinds; nothing was written.
    """
    if context.place.user_install and len(parsed) > MOST_THROUGH_TOKEN:
        raise TooManyHere(len(parsed))
    most = backends.config.batch_jobs

    def made(session: Session) -> list[JobDraft]:
        guild_id = context.address.guild_id
        policy.check_models(session, backends.catalog, guild_id, [one.request for one in parsed])
        settings = submit.settings_of(session, context.member_id)
        drafts = [submit.draft_of(context, Action.IMAGINE, one.tokens, one.request) for one in parsed]
        return _checked(session, [draft.in_mode_of(settings) for draft in drafts])

    def write(session: Session, drafts: Sequence[JobDraft]) -> Batch:
        _checked(session, drafts)
        asks = replace(drafts[0], stealth=any(draft.stealth for draft in drafts))
        return batches.propose(session, asks, typed, [_planned(draft) for draft in drafts], most=most)

    # Refused, and its words read, where nobody waits to write.
    batch = await backends.database.write(write, await backends.database.read(made))
    return Proposal(batch, parsed)


async def confirm(backends: Backends, context: SubmissionContext, batch_id: int) -> Confirmation:
    """Make the jobs that were proposed, exactly as they were; `context` is of the press that says yes.

    Raises:
        NotYours, NoSuchBatch, BatchClosed and any other Refused: nothing was written.
    """
    submit.check_place(backends, context)
    most = backends.config.batch_jobs

    def draft(stored: dict[str, Any]) -> JobDraft:
        request = GenerationRequest.model_validate(stored["request"])
        if request.model not in backends.catalog.models:
            raise ModelGone(request.model)
        made = submit.draft_of(context, Action.IMAGINE, stored["text"], request)
        return replace(made, speed=Speed(stored["speed"]), stealth=stored["stealth"])

    def made(session: Session) -> list[JobDraft]:
        planned = batches.own(session, batch_id, context.member_id).planned
        drafts = [draft(stored) for stored in planned]
        guild_id = context.address.guild_id
        policy.check_models(session, backends.catalog, guild_id, [one.request for one in drafts])
        return _checked(session, drafts)

    def write(session: Session, drafts: Sequence[JobDraft]) -> Confirmation:
        batches.own(session, batch_id, context.member_id)
        _checked(session, drafts)
        in_order = iter(drafts)
        return batches.confirm(session, batch_id, lambda _: next(in_order), most=most)

    confirmation = await backends.database.write(write, await backends.database.read(made))
    if confirmation.fresh:
        for _ in range(min(WAKE, confirmation.batch.size)):
            backends.tickets.send()
    return confirmation


async def decline(backends: Backends, member_id: int, batch_id: int) -> Batch:
    """Its member said no.

    Raises:
        NotYours, NoSuchBatch, BatchClosed
    """

    def write(session: Session) -> Batch:
        batches.own(session, batch_id, member_id)
        return batches.decline(session, batch_id)

    return await backends.database.write(write)


D = TypeVar("D", bound=Sequence[JobDraft])


def _checked(session: Session, drafts: D) -> D:
    for draft in drafts:
        submit.check_draft(session, draft)
    return drafts


def _planned(draft: JobDraft) -> dict[str, Any]:
    return {
        "text": draft.text,
        "request": draft.request.model_dump(mode="json"),
        "speed": (draft.speed or Speed.FAST).value,
        "stealth": bool(draft.stealth),
    }
