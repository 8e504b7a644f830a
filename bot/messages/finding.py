"""Sentences for finding, keeping and reporting pictures: menus, reactions, and the moderators' lists."""

from __future__ import annotations

from collections.abc import Sequence

from bot.messages.states import jump
from prompts.markdown import code, show_prompt
from prompts.tokenizer import clean
from prompts.translation import N_, _, ngettext
from storage.contract import JobState
from storage.tables import Job, Report

_PROMPT = 300
"""UTF-16 units of a prompt in a list."""
_TITLE = 45
"""Characters of a form's title."""
_LOST = 300
"""Characters of what could not be read."""
_STATES = {
    JobState.QUEUED: N_("waiting"),
    JobState.RUNNING: N_("running"),
    JobState.SUCCEEDED: N_("finished"),
    JobState.FAILED: N_("failed"),
    JobState.CANCELLED: N_("stopped"),
    JobState.WITHHELD: N_("withheld by the safety check"),
}


def _when(milliseconds: int) -> str:
    return f"<t:{milliseconds // 1000}:R>"


def no_such_message() -> str:
    return _("That is no message of Easel's with a job or its pictures. Choose one that shows your pictures.")


def retracted(outcome: str) -> str:
    """`outcome` is `stopped`, `deleted`, or `message_stays`: deleted, but Discord kept the message."""
    match outcome:
        case "stopped":
            return _("The job is being stopped.")
        case "deleted":
            return _("The pictures and their messages are deleted.")
        case _:
            return _("The pictures are deleted. A message could not be removed here: delete it yourself.")


def nobody_moderates() -> str:
    return _("No moderators watch over Easel here. Report it where the picture was posted, in a server.")


def reported(*, fresh: bool) -> str:
    if fresh:
        return _("Thank you: the moderators of this server will look at it.")
    return _("You have reported this already; the moderators of this server look at it, or have.")


def use_picture() -> str:
    return _("**Describe** makes prompts of this picture; **Image prompt** draws from it what you write.")


def use_painted(job_id: int, number: int) -> str:
    """Of a painted copy of that job's picture of this number."""
    mask = _(
        "It is a painted copy of image #{number} of job {job_id}: **Mask** draws anew what you painted over."
    )
    return "\n".join([use_picture(), mask.format(number=number, job_id=job_id)])


def carries(*, exact: bool, lost: Sequence[str]) -> str:
    """Of the command in a picture's file; `lost` is what it says besides."""
    if exact:
        return _(
            "This picture carries its command: **Imagine its prompt** draws it again, the first of four."
        )
    said = _("This picture carries a prompt: **Imagine its prompt** draws it, with the models that are here.")
    if not lost:
        return said
    left_out = _("Left out, for they have no meaning here: {values}.")
    return "\n".join([said, left_out.format(values=code(", ".join(lost), _LOST))])


def no_command() -> str:
    return _("There is no prompt in this message any more. Choose **Use picture…** on the picture once more.")


def no_original() -> str:
    return _(
        "None of your latest pictures was painted over here. Save a picture of Easel's, paint over a part of "
        "it in any colour, and post it uncropped, as a reply to that picture if it is not yours."
    )


def no_picture() -> str:
    return _(
        "There is no uploaded picture in this message. Choose one with a PNG, JPEG, WebP, GIF, AVIF or HEIC."
    )


def picture_too_large(limit: int) -> str:
    """`limit` is in bytes."""
    return _("That picture is larger than the {limit} MB that may be sent here. Use a smaller copy.").format(
        limit=limit // 2**20
    )


def reports_title(*, empty: bool) -> str:
    if empty:
        return _("### Reports\nNothing waits for you. Members report with a right click: Apps, Report Job.")
    return _(
        "### Reports\n"
        "**Withhold** deletes Easel's messages of it in this server and shows it here to nobody any more; "
        "**Dismiss** leaves it as it is."
    )


def reported_job(job: Job, report: Report, url: str | None) -> str:
    facts = [
        _("Job {id} by <@{member_id}>").format(id=job.id, member_id=job.member_id),
        _("reported {when}").format(when=_when(report.created_at)),
    ]
    if url is not None:
        facts.append(jump(url))
    prompt = _("*Its member has deleted their data.*") if job.deleted_at else show_prompt(job.text, _PROMPT)
    return f"{prompt}\n-# {' · '.join(facts)}"


def messages_stay(count: int) -> str:
    return ngettext(
        "A message could not be deleted here: delete what is left yourself.",
        "{count} messages could not be deleted here: delete what is left yourself.",
        count,
    ).format(count=count)


def member_jobs_title(member_id: int, *, empty: bool) -> str:
    title = _("### Jobs of <@{member_id}> in this server").format(member_id=member_id)
    return title + (_("\nNone.") if empty else "")


def member_job(job: Job, url: str | None) -> str:
    facts = [_("Job {id}").format(id=job.id), _(_STATES[JobState(job.state)]), _when(job.created_at)]
    if url is not None:
        facts.append(jump(url))
    return f"{show_prompt(job.text, _PROMPT)}\n-# {' · '.join(facts)}"


def ban_title(name: str) -> str:
    return _("Ban {name} from drawing here").format(name=clean(name))[:_TITLE]


def ban_reason() -> str:
    return _("Why; the member reads it")


def ban_lasts() -> str:
    return _("For how long")


def ban_for_good() -> str:
    return _("For good where nothing is chosen")


def words_title(count: int) -> str:
    if not count:
        return _(
            "This server forbids no words of its own: `/mod words add` does. A short list holds everywhere."
        )
    return ngettext(
        "This server forbids 1 word or phrase in prompts:",
        "This server forbids {count} words and phrases in prompts:",
        count,
    ).format(count=count)


def word_added(word: str) -> str:
    return _("{word} is forbidden in prompts here from now on.").format(word=code(word))


def word_not_added(word: str, most: int) -> str:
    return _(
        "{word} was not added: it is forbidden already, or there are {most} words, which is the most."
    ).format(word=code(word), most=most)


def word_removed(word: str) -> str:
    return _("{word} may be asked for here again.").format(word=code(word))


def word_not_there(word: str) -> str:
    return _("{word} is not among this server's words: `/mod words list` shows them.").format(word=code(word))


def word_unreadable(word: str) -> str:
    return _("{word} has no letters or figures that a prompt could be searched for.").format(word=code(word))
