"""An earlier prompt, taken up again with what is typed now."""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from prompts.flags import BY_NAME
from prompts.pasted.normalizer import read
from prompts.tokenizer import TokenizedPrompt, tokenize
from storage import prompts
from storage.errors import Refused

_WEIGHT_AT_END = re.compile(r"::\s*-?[\d.]*$")


class NothingRecalled(Refused):
    """The member has no earlier prompt of this number or with these words."""

    def __init__(self, which: str) -> None:
        super().__init__(which)
        self.which = which


def recall(session: Session, member_id: int, which: str, typed: str) -> str:
    """The member's earlier prompt `which` (a job's number, or words that it holds), changed by `typed`.

    Raises:
        NothingRecalled
    """
    job = prompts.recalled(session, member_id, which)
    if job is None:
        raise NothingRecalled(which)
    return added(job.text, typed)


def added(earlier: str, typed: str) -> str:
    """The earlier prompt with the typed words behind its own; typed flags and links are in place of its own.

    Words of which none has a letter or figure (`.`) add nothing.
    """
    before, now = tokenize(earlier), tokenize(read(typed).line)
    links = _links(now) or _links(before)
    named = {_name(flag.name) for flag in now.flags}
    kept = tuple(flag for flag in before.flags if _name(flag.name) not in named)
    text = f"{links} {_joined(before.words, now.words)}".strip()
    return str(TokenizedPrompt(text, (*kept, *now.flags)))


def _links(divided: TokenizedPrompt) -> str:
    return divided.text.removesuffix(divided.words).strip()


def _name(flag: str) -> str:
    return BY_NAME[flag].name if flag in BY_NAME else flag


def _joined(before: str, now: str) -> str:
    if not re.search(r"\w", now):
        return before
    if not before:
        return now
    return f"{before}{' ' if _WEIGHT_AT_END.search(before) else ', '}{now}"
