"""The prompts that a job has found: a description's, or the shorter ones of a long prompt."""

from __future__ import annotations

import math
import re

from sqlalchemy.orm import Session

from actions.submit import FoundPrompt
from prompts.tokenizer import CLOSING, OPENING, tokenize
from storage import deliveries, jobs
from storage.contract import Action, GenerationRequest
from storage.errors import Refused
from storage.tables import Job

RATIOS = ("1:1", "5:4", "4:3", "3:2", "16:9", "2:1", "3:1", "4:1")
_NOT_IN_WORDS = re.compile(rf"[{OPENING}{CLOSING}\[\]\\]|-{{2,}}|—|:{{2,}}")


class NoWords(Refused):
    """The job has found no such prompt."""


def prompts(job: Job) -> list[str]:
    """The prompts that a job has found, each ready to be drawn."""
    found = [_NOT_IN_WORDS.sub(" ", text) for text in (job.result or {}).get("prompts", [])]
    if job.action == Action.DESCRIBE:
        request = GenerationRequest.model_validate(job.request)
        flags_behind = f"--ar {nearest_ratio(request.width, request.height)}"
    else:
        flags_behind = " ".join(str(flag) for flag in tokenize(job.text).flags)
    return [f"{' '.join(text.split())} {flags_behind}".strip() for text in found]


def prompt(session: Session, found: FoundPrompt, member_id: int) -> str:
    """A prompt that a job has found, for a member who may see it.

    Raises:
        NoSuchJob, NotYours, NoWords
    """
    known = prompts(jobs.seen(session, found.job_id, member_id))
    if not 0 <= found.index < len(known):
        raise NoWords
    return known[found.index]


def drawn(session: Session, job_id: int) -> dict[int, bool]:
    """Prompts that a job has found and that were drawn, by index: True if with other words."""
    known = [tokenize(text).text for text in prompts(jobs.get(session, job_id))]
    changed: dict[int, bool] = {}
    for index, text in deliveries.drawn(session, job_id):
        if index < len(known):
            changed[index] = changed.get(index, False) or tokenize(text).text != known[index]
    return changed


def nearest_ratio(width: int, height: int) -> str:
    """Of RATIOS, lying or standing, the one whose width ÷ height is nearest by its logarithm."""
    whole = [tuple(map(int, ratio.split(":"))) for ratio in RATIOS]
    both = [*whole, *((tall, wide) for wide, tall in whole)]
    wide, tall = min(both, key=lambda ratio: abs(math.log(ratio[0] / ratio[1]) - math.log(width / height)))
    return f"{wide}:{tall}"
