"""Shorten: how much each word of a prompt weighs, and shorter prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy.orm import Session

from actions import submit
from actions.found_prompts import NoWords
from actions.submit import SubmissionContext, SubmittedJob
from prompts import parser, vocabulary
from prompts.pasted.normalizer import settled
from storage import jobs
from storage.backends import Backends
from storage.contract import Action, Task
from storage.errors import Refused
from storage.tables import Job

MOST_KNOWN = 5
"""Words of a model's that a refusal names."""


class NotShortened(Refused):
    """`part` is what such a prompt has and may not have: `::` or `--no`."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


class TooShort(Refused):
    """A prompt of one word, or none."""


class NothingKnown(Refused):
    """The model knows no word of the prompt; `known` are some that it does, `offers` commands of such."""

    def __init__(self, model: str, known: Sequence[str], offers: Sequence[str] = ()) -> None:
        super().__init__(model)
        self.model, self.known, self.offers = model, known, offers


async def shorten(backends: Backends, context: SubmissionContext, text: str) -> SubmittedJob:
    """Ask which words of a prompt matter, and for shorter ones.

    Raises:
        NotShortened, TooShort, NothingKnown, FlagError, and any other Refused: nothing was written.
    """
    submit.check_place(backends, context)
    preferences = await backends.database.read(submit.preferences_of, context.member_id)
    typed, _ = settled(text)
    if any(flag.name == "no" for flag in typed.flags):
        raise NotShortened("--no")
    # Neither words nor flags that a suffix or settings would add: only what was typed is weighed.
    parsed = parser.parse(text, backends.catalog, parser.Preferences(model=preferences.model))
    if len(parsed.request.parts) > 1:
        raise NotShortened("::")
    if len(parsed.request.prompt.split()) < 2:
        raise TooShort
    entry = backends.catalog[parsed.request.model]
    if vocabulary.is_all_unknown(parsed.request.prompt, entry):
        known = vocabulary.examples(entry)[:MOST_KNOWN]
        raise NothingKnown(entry.title, known, vocabulary.offers_of(entry))
    request = parsed.request.changed(task=Task.SHORTEN, parts=(), num_images_per_prompt=1)

    draft = partial(submit.draft_of, context, Action.SHORTEN, typed, request)
    return replace(await submit.enqueue(backends, lambda _: draft()), understood=(parsed,))


def weights(session: Session, job_id: int, member_id: int) -> list[tuple[str, float]]:
    """Each word of a shortened prompt with its weight, 0–1.

    Raises:
        NoSuchJob, NotYours, NoWords
    """
    job = jobs.seen(session, job_id, member_id)
    found = weights_of(job)
    if not found:
        raise NoWords
    return found


def weights_of(job: Job) -> list[tuple[str, float]]:
    return [(word, weight) for word, weight in (job.result or {}).get("weights", [])]
