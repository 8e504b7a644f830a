"""Sentences about a batch: the question, its progress, and why it cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bot.messages import CONTENT
from bot.messages.states import jump
from prompts.markdown import length, show_prompt
from prompts.translation import _
from storage.batches import CONFIRMED, DECLINED, FINISHED, Tally
from storage.tables import Batch

_PROMPT = 150
"""UTF-16 units of a prompt in a list."""


def question(texts: Sequence[str], hints: Sequence[str]) -> str:
    """Before a batch is made: how many jobs it makes and which, as far as there is room."""
    title = _("This makes {number} jobs:").format(number=len(texts))
    last = [_("Start them? This can be answered for 15 minutes.")]
    for hint in hints:
        if length("\n".join([*last, hint])) < CONTENT // 2:
            last.append(f"-# {hint}")
    # The blank line keeps the list's last entry and what follows it apart.
    room = CONTENT - length("\n".join([title, _("- and {left} more"), "", *last, ""]))
    lines: list[str] = []
    left = len(texts)
    for text, times in Counter(texts).items():
        often = _(" ({times} times)").format(times=times) if times > 1 else ""
        line = f"- {show_prompt(text, _PROMPT)}{often}"
        if length("\n".join([*lines, line])) > room:
            lines.append(_("- and {left} more").format(left=left))
            break
        lines.append(line)
        left -= times
    return "\n".join([title, *lines, "", *last])


def started(size: int) -> str:
    """In place of the question, after a yes."""
    return _("{size} jobs were started.").format(size=size)


def declined() -> str:
    return _("Nothing was started.")


def closed(state: str) -> str:
    """Reason why a batch cannot be answered any more."""
    if state in (CONFIRMED, FINISHED):
        return _("These jobs were started already; `/info` shows what is left of them.")
    if state == DECLINED:
        return _("You said no to these jobs, so nothing was started. Type the prompt again to have them.")
    return _("This question is more than 15 minutes old, and nothing was started. Type the prompt again.")


def full(size: int, waiting: int, limit: int) -> str:
    return _(
        "This makes {size} jobs. At most {limit} jobs of your batches wait at a time, and {waiting} do "
        "already. Ask for fewer, wait for some to finish, or cancel some in `/info`."
    ).format(size=size, limit=limit, waiting=waiting)


def gone() -> str:
    return _("These jobs are not known any more. Type the prompt again to have them.")


def too_many_here(size: int, most: int) -> str:
    return _(
        "This makes {size} jobs, but where Easel is not a member of the server Discord lets it "
        "post at most {most} results. Ask for fewer, or in a direct message to Easel."
    ).format(size=size, most=most)


def progress(batch: Batch, tally: Tally) -> str:
    """The batch's public message, from its start to its last word."""
    after = _(" - <@{member_id}> ({counts})").format(member_id=batch.member_id, counts=counted(batch, tally))
    return _about(batch, after)


def handed_over(batch: Batch, tally: Tally) -> str:
    """Offer to go on, for a place where Easel may not post by itself and the time to answer is nearly
    over.
    """
    after = _(
        " - <@{member_id}> ({counts})\n"
        "Discord gives no more time to answer here. **Show** goes on in this place. Otherwise the "
        "pictures that are left will come by direct message; `/history` keeps them in any case."
    ).format(member_id=batch.member_id, counts=counted(batch, tally))
    return _about(batch, after)


def line(batch: Batch, tally: Tally, *, member_id: int | None = None, url: str | None = None) -> str:
    """A batch in a list; somebody else's is named after its member."""
    facts = [_("Batch"), counted(batch, tally)]
    if member_id is not None:
        facts.insert(1, f"<@{member_id}>")
    if url is not None:
        facts.append(jump(url))
    return f"{show_prompt(batch.text, _PROMPT)}\n-# {' · '.join(facts)}"


def counted(batch: Batch, tally: Tally) -> str:
    """`12 of 40 done, 3 drawing`."""
    stopping = batch.cancel_requested_at is not None and not tally.finished
    counted_as = {
        _("{count} drawing"): 0 if stopping else tally.running,
        _("{count} failed"): tally.failed,
        _("{count} withheld"): tally.withheld,
        _("{count} stopped"): tally.cancelled,
        _("{count} stopping"): tally.running if stopping else 0,
    }
    counts = [said.format(count=count) for said, count in counted_as.items() if count]
    if tally.queued == tally.size:
        counts.append(_("waiting to start"))
    return _(", ").join(
        [_("{succeeded} of {size} done").format(succeeded=tally.succeeded, size=batch.size), *counts]
    )


def _about(batch: Batch, after: str) -> str:
    return f"**{show_prompt(batch.text, CONTENT - length(after) - len('****'))}**{after}"
