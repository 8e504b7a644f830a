"""Describe: prompts that a picture could have been drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy.orm import Session

from actions import submit
from actions.derivation import random_seed
from actions.found_prompts import NoWords, prompts
from actions.submit import SubmissionContext, SubmittedJob
from prompts.tokenizer import SEPARATORS, tokenize
from storage import jobs
from storage.backends import Backends
from storage.catalog import Catalog
from storage.contract import Action, GenerationRequest, Task
from storage.drafts import JobDraft
from storage.errors import Refused

_SMALLEST, _LARGEST = 8, 16384
_COMMA = re.compile(f"[{SEPARATORS}]")


class NoDescriber(Refused):
    """The catalog names nothing that describes pictures for this model (None: for any)."""

    def __init__(self, model: str | None = None) -> None:
        super().__init__(model or "")
        self.model = model


@dataclass(frozen=True)
class Brought:
    """A picture of the store that a member brought; `name` is its file's, or its link.

    `texts` is what its file said beside its pixels.
    """

    key: str
    width: int
    height: int
    name: str
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)


async def describe(backends: Backends, context: SubmissionContext, image: Brought) -> SubmittedJob:
    """Ask for four prompts for a picture.

    Raises:
        NoDescriber, and any other Refused: nothing was written.
    """
    submit.check_place(backends, context)
    preferences = await backends.database.read(submit.preferences_of, context.member_id)
    request = GenerationRequest(
        task=Task.DESCRIBE,
        model=_describing(backends.catalog, preferences.model),
        prompt="",
        width=min(max(image.width, _SMALLEST), _LARGEST),
        height=min(max(image.height, _SMALLEST), _LARGEST),
        seed=random_seed(),
        num_images_per_prompt=1,
        source_key=image.key,
    )

    draft = partial(submit.draft_of, context, Action.DESCRIBE, image.name, request)
    return await submit.enqueue(backends, lambda _: draft())


async def describe_again(backends: Backends, context: SubmissionContext, job_id: int) -> SubmittedJob:
    """Ask for four other prompts for a described picture.

    Raises:
        NoSuchJob, NotYours, NoWords, NoDescriber, and any other Refused: nothing was written.
    """
    submit.check_place(backends, context)

    def draft(session: Session) -> JobDraft:
        job = jobs.seen(session, job_id, context.member_id)
        if job.action != Action.DESCRIBE:
            raise NoWords
        request = GenerationRequest.model_validate(job.request)
        model = _describing(backends.catalog, request.model)
        fresh = request.changed(model=model, seed=random_seed())
        again = submit.draft_of(context, Action.DESCRIBE, job.text, fresh)
        return replace(again, parent_job_id=job.id, stealth=job.stealth or again.stealth)

    return await submit.enqueue(backends, draft)


def all_prompts(session: Session, job_id: int, member_id: int) -> str:
    r"""One text that is every prompt of a description, in the form of a permutation: `{this, that\, there}`.

    Raises:
        NoSuchJob, NotYours, NoWords
    """
    found = prompts(jobs.seen(session, job_id, member_id))
    if not found:
        raise NoWords
    if len(found) == 1:
        return found[0]
    divided = [tokenize(text) for text in found]
    words = ", ".join(_COMMA.sub(r"\\\g<0>", one.text) for one in divided)
    return " ".join([f"{{{words}}}", *map(str, divided[0].flags)])


def _describing(catalog: Catalog, preferred: str | None) -> str:
    """The model whose describer is asked: the preferred one's, the default's, or any."""
    for name in (preferred, catalog.default, *catalog.models):
        if name in catalog.models and catalog[name].describer is not None:
            return name
    raise NoDescriber
