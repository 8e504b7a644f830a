"""What is said where members find, keep and report pictures: menus, reactions, and the moderators' lists."""

from __future__ import annotations

from bot.grammar import clean
from bot.prompt_text import code, show_prompt
from storage.contract import JobState
from storage.tables import Job, Report

_PROMPT = 300
"""UTF-16 units of a prompt in a list."""
_TITLE = 45
"""Characters of a form's title."""
_STATES = {
    JobState.QUEUED: "waiting",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "finished",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "stopped",
    JobState.WITHHELD: "withheld by the safety check",
}


def _when(milliseconds: int) -> str:
    return f"<t:{milliseconds // 1000}:R>"


def no_such_message() -> str:
    return "That is no message of Easel's with a job or its pictures. Choose one that shows your pictures."


def retracted(outcome: str) -> str:
    """`outcome` is `stopped`, `deleted`, or `message_stays`: deleted, but Discord kept the message."""
    match outcome:
        case "stopped":
            return "The job is being stopped."
        case "deleted":
            return "The pictures and their messages are deleted."
        case _:
            return "The pictures are deleted. A message could not be removed here: delete it yourself."


def nobody_moderates() -> str:
    return "No moderators watch over Easel here. Report it where the picture was posted, in a server."


def reported(*, fresh: bool) -> str:
    if fresh:
        return "Thank you: the moderators of this server will look at it."
    return "You have reported this already; the moderators of this server look at it, or have."


def use_picture() -> str:
    return "**Describe** makes prompts of this picture; **Image prompt** draws from it what you write."


def no_picture() -> str:
    return "There is no uploaded picture in this message. Choose one that has a PNG, JPEG, WebP or GIF."


def picture_too_large(limit: int) -> str:
    """`limit` is in bytes."""
    return f"That picture is larger than the {limit // 2**20} MB that may be sent here. Use a smaller copy."


def reports_title(*, empty: bool) -> str:
    if empty:
        return "### Reports\nNothing waits for you. Members report with a right click: Apps, Report Job."
    return (
        "### Reports\n**Withhold** deletes Easel's messages of it and shows its pictures to nobody any more; "
        "**Dismiss** leaves it as it is."
    )


def reported_job(job: Job, report: Report, url: str | None) -> str:
    facts = [f"Job {job.id} by <@{job.member_id}>", f"reported {_when(report.created_at)}"]
    if url is not None:
        facts.append(f"[jump]({url})")
    prompt = "*Its member has deleted their data.*" if job.deleted_at else show_prompt(job.text, _PROMPT)
    return f"{prompt}\n-# {' · '.join(facts)}"


def messages_stay(count: int) -> str:
    several = "A message" if count == 1 else f"{count} messages"
    return f"{several} could not be deleted here: delete what is left yourself."


def member_jobs_title(member_id: int, *, empty: bool) -> str:
    return f"### Jobs of <@{member_id}> in this server" + ("\nNone." if empty else "")


def member_job(job: Job, url: str | None) -> str:
    facts = [f"Job {job.id}", _STATES[JobState(job.state)], _when(job.created_at)]
    if url is not None:
        facts.append(f"[jump]({url})")
    return f"{show_prompt(job.text, _PROMPT)}\n-# {' · '.join(facts)}"


def ban_title(name: str) -> str:
    return f"Ban {clean(name)} from drawing here"[:_TITLE]


def ban_reason() -> str:
    return "Why; the member reads it"


def ban_lasts() -> str:
    return "For how long"


def ban_for_good() -> str:
    return "For good where nothing is chosen"


def words_title(count: int) -> str:
    if not count:
        return (
            "This server forbids no words of its own: `/mod words add` does. A short list holds everywhere."
        )
    several = "1 word or phrase" if count == 1 else f"{count} words and phrases"
    return f"This server forbids {several} in prompts:"


def word_added(word: str) -> str:
    return f"{code(word)} is forbidden in prompts here from now on."


def word_not_added(word: str, most: int) -> str:
    return (
        f"{code(word)} was not added: it is forbidden already, or there are {most} words, which is the most."
    )


def word_removed(word: str) -> str:
    return f"{code(word)} may be asked for here again."


def word_not_there(word: str) -> str:
    return f"{code(word)} is not among this server's words: `/mod words list` shows them."


def word_unreadable(word: str) -> str:
    return f"{code(word)} has no letters or figures that a prompt could be searched for."
