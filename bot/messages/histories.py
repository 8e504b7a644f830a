"""Sentences on the pages of `/history` and `/favorites`."""

from __future__ import annotations

from actions.table import BY_ACTION
from bot.messages.states import jump
from prompts.markdown import clip, show_prompt
from prompts.translation import N_, _, ngettext
from storage.contract import Action
from storage.tables import Job

_PROMPT = 300
"""UTF-16 units of a prompt: five of them and their frames fit one message."""
_CHOICE = 100
"""Characters of a menu's entry."""
_KINDS = {"grids": N_("Only grids"), "upscales": N_("Only upscales")}
_DAYS = {1: N_("Last 24 hours"), 7: N_("Last 7 days"), 30: N_("Last 30 days")}


def kind(value: str) -> str:
    return _(_KINDS[value])


def days(value: int) -> str:
    return _(_DAYS[value])


def filters(kind_: str | None, days_: int | None, model: str | None) -> list[str]:
    """The filters that are on; `model` is a title."""
    named = [None if kind_ is None else kind(kind_), None if days_ is None else days(days_), model]
    return [name for name in named if name is not None]


def title(words: str, *, favorites: bool, filters: list[str], empty: bool) -> str:
    which = _("Your favorites") if favorites else _("Your pictures")
    about = _("{which} with {words}").format(which=which, words=show_prompt(words, 200)) if words else which
    head = " · ".join([f"### {about}", *(show_prompt(name, 60) for name in filters)])
    if not empty:
        return head
    if filters:
        return _("{head}\nNothing here. Choose fewer filters below.").format(head=head)
    if words:
        return _("{head}\nNothing yet. Try fewer words, or `/history` alone to see all.").format(head=head)
    if favorites:
        return _("{head}\nNone yet: press ❤️ below a single picture.").format(head=head)
    return _("{head}\nNone yet: type `/imagine` and say what to draw.").format(head=head)


def entry(job: Job, url: str | None) -> str:
    action = _(BY_ACTION[Action(job.action)].history)
    facts = [_("Job {id}").format(id=job.id), f"<t:{(job.finished_at or job.created_at) // 1000}:R>"]
    if action:
        facts.append(action)
    if url is not None:
        facts.append(jump(url))
    return f"{show_prompt(job.text, _PROMPT)}\n-# {' · '.join(facts)}"


def choice(job: Job) -> str:
    """A job in the menu of what to take."""
    return clip(f"{job.id}: {' '.join(job.text.split())}", _CHOICE)


def filter_label() -> str:
    return _("Filter")


def zip_label() -> str:
    return _("Zip: choose whose originals you want")


def zipped(number: int, parts: int, *, images: int, lost: int) -> str:
    """One message of originals: the file `number` of `parts`."""
    which = "" if parts == 1 else _(" (file {number} of {parts})").format(number=number, parts=parts)
    drawn = ngettext("1 picture, as drawn{which}.", "{count} pictures, as drawn{which}.", images)
    lines = [drawn.format(count=images, which=which)]
    if lost:
        gone = ngettext(
            "1 picture of the chosen ones is not in the store any more.",
            "{count} pictures of the chosen ones are not in the store any more.",
            lost,
        )
        lines.append(gone.format(count=lost))
    return "\n".join(lines)


def not_all_fit(fit: int, wanted: int) -> str:
    return _(
        "{fit} of {wanted} pictures fit what may be sent here at once: choose fewer for the others."
    ).format(fit=fit, wanted=wanted)


def none_fits(limit: int) -> str:
    """`limit` is in bytes."""
    return _(
        "None of these pictures fits a file of {limit:.1f} MB, the most that may be sent here. "
        "**Show** posts them a little smaller."
    ).format(limit=limit / 2**20)


def nothing_to_zip() -> str:
    return _("The pictures that you chose are not kept any more.")
