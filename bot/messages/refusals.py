"""Sentences for what cannot be done, and for what was typed, given back below them."""

from __future__ import annotations

from collections.abc import Sequence

from actions.permissions import Permission
from bot.messages import CONTENT
from bot.messages.states import named
from prompts.enumerations import listed
from prompts.markdown import code, fence, length, show_prompt
from prompts.parser import Parsed
from prompts.sentences import hints
from prompts.translation import _
from storage.catalog import Catalog


def told(understood: Sequence[Parsed], catalog: Catalog, *, at_limit: bool) -> list[str]:
    """The sentences that a member privately reads of a job that was made."""
    return [*([concurrent()] if at_limit else []), *hints(understood, catalog)]


def concurrent() -> str:
    """The member has as many jobs running as they may."""
    return _(
        "You have reached the maximum allowed number of concurrent jobs. Don't worry, this job "
        "will start as soon as another one finishes!"
    )


def queue_full(limit: int) -> str:
    return _(
        "Your job queue is full. Please wait for a job to finish first, then resubmit this one. "
        "(At most {limit} jobs wait at a time; `/info` shows yours and can cancel them.)"
    ).format(limit=limit)


def banned(reason: str, expires_at: int | None) -> str:
    """`expires_at` is in epoch milliseconds, None for ever."""
    until = "" if expires_at is None else _(" until {when}").format(when=f"<t:{expires_at // 1000}:f>")
    because = _(" Reason: {reason}").format(reason=show_prompt(reason, 500)) if reason else ""
    return _("You have been blocked from drawing here{until}.{because}").format(until=until, because=because)


def paused() -> str:
    return _("The moderators have paused new jobs in this server. Nothing was started; try again later.")


def missing_permissions(missing: Sequence[Permission]) -> str:
    names = listed([f"**{_(permission.value)}**" for permission in missing])
    return _(
        "I cannot post the result here: I lack {names} in this channel. A moderator can allow it."
    ).format(names=names)


def not_age_restricted() -> str:
    return _("The safety check is switched off here, so I draw in age-restricted channels only.")


def no_such_job(job_id: int) -> str:
    return _("There is no job {job_id}, or its pictures are not kept any more.").format(job_id=job_id)


def no_such_picture() -> str:
    return _("This picture is not kept any more.")


def picture_withheld() -> str:
    return _("The safety check withheld this picture, so nothing can be made of it.")


def picture_lost() -> str:
    return _("Sorry, this picture is not in the store any more. 🔄 on its grid draws new ones.")


def too_large(width: int, height: int, limit: int) -> str:
    return _("That would be {width} × {height} pixels; pictures here grow to at most {limit} a side.").format(
        width=width, height=height, limit=limit
    )


def no_upscaler() -> str:
    return _("Pictures of this model cannot be enlarged here: its catalog entry names no upscaler.")


def model_gone(name: str) -> str:
    return _("The model {name} that drew this is not installed any more.").format(name=code(name))


def lora_gone(name: str) -> str:
    return _(
        "The LoRA {name} that drew this is not installed any more; imagine the prompt again without it."
    ).format(name=code(name))


def reference_gone() -> str:
    return _(
        "This model does not read pictures any more as it did for this one; imagine the prompt again without "
        "`--sref`, `--cref`, `--oref` or `--control`."
    )


def not_yours() -> str:
    return _("This is somebody else's: only they and moderators may do that.")


def not_moderator() -> str:
    return _("Only moderators of this server may do that.")


def already_finished(state: str) -> str:
    return _("Too late: the job is {state} already.").format(state=named(state))


def taken_down(*, everywhere: bool = False) -> str:
    if everywhere:
        return _("Whoever runs Easel here withheld these pictures: they are shown to nobody any more.")
    return _("The moderators of this server withheld these pictures: they are not shown here.")


def not_resolved() -> str:
    return _("Discord did not pass on what you chose, so nothing was started. Choose it again and send it.")


def not_accepted(given: str) -> str:
    return _("{given} is not accepted here: choose or type it as Discord shows it.").format(given=code(given))


def unknown_button() -> str:
    return _("This button is from another version of Easel than the one that runs now.")


def stale_command() -> str:
    return _("Easel's commands have changed: reload Discord, then try again.")


def forbidden_words(words: Sequence[str]) -> str:
    banned_words = listed([code(word) for word in words])
    return _("Banned prompt detected: {words} may not be asked for here. Nothing was started.").format(
        words=banned_words
    )


def words_not_posted(words: Sequence[str]) -> str:
    """Refusal to post words that were forbidden after they were asked for."""
    return _("Banned prompt detected: {words} may not be posted here.").format(
        words=listed([code(word) for word in words])
    )


def disk_full() -> str:
    return _("Sorry, the disk is full: Easel's operator has to make room. Try again then.")


def unexpected(reference: int | None) -> str:
    said = _("Sorry, something went wrong, and it was noted.")
    if reference is None:
        return said
    return said + _("\n-# Quote {reference} to whoever runs Easel here.").format(reference=reference)


def with_echo(sentence: str, echo: str) -> str:
    """A refusal with what was typed below it, to copy; without it where it would not fit or not survive."""
    if echo_fits(sentence, echo):
        return "\n".join([sentence, _("To copy:"), fence(echo)])
    return "\n".join([sentence, _("The text is in the file, to copy.")])


def echo_fits(sentence: str, echo: str) -> bool:
    # Discord ends a code block at the first three backticks, however long its fence is.
    return "```" not in echo and length(sentence) + length(echo) <= CONTENT - 100
