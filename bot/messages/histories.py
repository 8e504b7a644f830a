"""What the pages of `/history` and `/favorites` say."""

from __future__ import annotations

from bot.messages.deeds import DEEDS
from bot.prompt_text import clip, show_prompt
from storage.contract import Action
from storage.tables import Job

_PROMPT = 300
"""UTF-16 units of a prompt: five of them and their frames fit one message."""
_CHOICE = 100
"""Characters of a menu's entry."""
_KINDS = {"grids": "Only grids", "upscales": "Only upscales"}
_DAYS = {1: "Last 24 hours", 7: "Last 7 days", 30: "Last 30 days"}


def kind(value: str) -> str:
    return _KINDS[value]


def days(value: int) -> str:
    return _DAYS[value]


def filters(kind_: str | None, days_: int | None, model: str | None) -> list[str]:
    """The filters that are on; `model` is a title."""
    named = [None if kind_ is None else kind(kind_), None if days_ is None else days(days_), model]
    return [name for name in named if name is not None]


def title(words: str, *, favorites: bool, filters: list[str], empty: bool) -> str:
    which = "Your favorites" if favorites else "Your pictures"
    about = f" with {show_prompt(words, 200)}" if words else ""
    head = f"### {which}{about}" + "".join(f" · {show_prompt(name, 60)}" for name in filters)
    if not empty:
        return head
    if filters:
        return f"{head}\nNothing here. Choose fewer filters below."
    if words:
        return f"{head}\nNothing yet. Try fewer words, or `/history` alone to see all."
    if favorites:
        return f"{head}\nNone yet: press ❤️ below a single picture."
    return f"{head}\nNone yet: type `/imagine` and say what to draw."


def entry(job: Job, url: str | None) -> str:
    deed = DEEDS[Action(job.action)]
    facts = [f"Job {job.id}", f"<t:{(job.finished_at or job.created_at) // 1000}:R>"]
    if deed:
        facts.append(deed)
    if url is not None:
        facts.append(f"[jump]({url})")
    return f"{show_prompt(job.text, _PROMPT)}\n-# {' · '.join(facts)}"


def choice(job: Job) -> str:
    """A job in the menu of what to take."""
    return clip(f"{job.id}: {' '.join(job.text.split())}", _CHOICE)


def filter_label() -> str:
    return "Filter"


def zip_label() -> str:
    return "Zip: choose whose originals you want"


def zipped(number: int, parts: int, *, pictures: int, lost: int) -> str:
    """One message of originals: the file `number` of `parts`."""
    which = "" if parts == 1 else f" (file {number} of {parts})"
    lines = [f"{_pictures(pictures)}, as drawn{which}."]
    if lost:
        lines.append(f"{_pictures(lost)} of the chosen ones {_are(lost)} not in the store any more.")
    return "\n".join(lines)


def not_all_fit(fit: int, wanted: int) -> str:
    return f"{fit} of {wanted} pictures fit what may be sent here at once: choose fewer for the others."


def none_fits(limit: int) -> str:
    """`limit` is in bytes."""
    return (
        f"None of these pictures fits a file of {limit / 2**20:.1f} MB, the most that may be sent here. "
        "**Show** posts them a little smaller."
    )


def nothing_to_zip() -> str:
    return "The pictures that you chose are not kept any more."


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
