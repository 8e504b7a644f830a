"""What members read of a job's life and of what cannot be done; the panels speak in `panels.py`.

One function a sentence. None needs discord, and none mentions anyone but the member a job belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.checks import Permission
from bot.messages.language import flag_faults, hints, notes, unknown_words
from bot.messages.lists import listed
from bot.prompt_text import code, fence, file_name, length, show_prompt
from storage.contract import Action, ErrorCode, JobState, Speed
from storage.tables import Job

__all__ = ["fence", "file_name", "flag_faults", "hints", "length", "notes", "show_prompt", "unknown_words"]

CONTENT = 2000
"""UTF-16 units that a message's content may have."""


def _about(job: Job, before: str = "", after: str = "") -> str:
    """The line that every message of a job is: its prompt in bold, cut to what the rest leaves room for."""
    room = CONTENT - length(before) - length(after) - len("****")
    return f"{before}**{show_prompt(job.text, room)}**{after}"


def _mention(member_id: int) -> str:
    return f"<@{member_id}>"


def _image_number(job: Job) -> str:
    return "" if job.parent_index is None else f"image #{job.parent_index + 1} with "


_BEGINNINGS = {
    Action.IMAGINE: "",
    Action.REROLL: "Rerolling ",
    Action.VARY: "Making variations for {image}prompt ",
    Action.VARY_SUBTLE: "Making subtle variations for {image}prompt ",
    Action.VARY_STRONG: "Making strong variations for {image}prompt ",
    Action.VARY_REGION: "Making variations of a region of {image}prompt ",
    Action.REMIX: "Remixing {image}prompt ",
    Action.REMIX_SUBTLE: "Remixing subtly {image}prompt ",
    Action.REMIX_STRONG: "Remixing strongly {image}prompt ",
    Action.REMIX_REGION: "Remixing a region of {image}prompt ",
    Action.UPSCALE_2X: "Upscaling {image}",
    Action.UPSCALE_4X: "Upscaling {image}",
    Action.UPSCALE_SUBTLE: "Upscaling {image}",
    Action.UPSCALE_CREATIVE: "Upscaling {image}",
    Action.ZOOM_OUT: "Zooming out of {image}",
    Action.ZOOM_OUT_15X: "Zooming out of {image}",
    Action.ZOOM_CUSTOM: "Zooming out of {image}",
    Action.MAKE_SQUARE: "Making square {image}",
    Action.PAN_LEFT: "Panning {image}",
    Action.PAN_RIGHT: "Panning {image}",
    Action.PAN_UP: "Panning {image}",
    Action.PAN_DOWN: "Panning {image}",
    Action.BLEND: "Blending ",
    Action.DESCRIBE: "Describing ",
    Action.SHORTEN: "Shortening ",
}
_RESULTS = {
    Action.IMAGINE: "",
    Action.REROLL: "",
    Action.VARY: "Variations by ",
    Action.VARY_SUBTLE: "Variations (Subtle) by ",
    Action.VARY_STRONG: "Variations (Strong) by ",
    Action.VARY_REGION: "Variations (Region) by ",
    Action.REMIX: "Remix by ",
    Action.REMIX_SUBTLE: "Remix (Subtle) by ",
    Action.REMIX_STRONG: "Remix (Strong) by ",
    Action.REMIX_REGION: "Remix (Region) by ",
    Action.UPSCALE_2X: "Upscaled (2x) by ",
    Action.UPSCALE_4X: "Upscaled (4x) by ",
    Action.UPSCALE_SUBTLE: "Upscaled (Subtle) by ",
    Action.UPSCALE_CREATIVE: "Upscaled (Creative) by ",
    Action.ZOOM_OUT: "Zoom Out by ",
    Action.ZOOM_OUT_15X: "Zoom Out by ",
    Action.ZOOM_CUSTOM: "Zoom Out by ",
    Action.MAKE_SQUARE: "Make Square by ",
    Action.PAN_LEFT: "Pan Left by ",
    Action.PAN_RIGHT: "Pan Right by ",
    Action.PAN_UP: "Pan Up by ",
    Action.PAN_DOWN: "Pan Down by ",
    Action.BLEND: "Blend by ",
    Action.DESCRIBE: "Described by ",
    Action.SHORTEN: "Shortened by ",
}
_UPSCALES = {Action.UPSCALE_2X, Action.UPSCALE_4X, Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE}


_SPEEDS = {Speed.FAST: "fast", Speed.RELAX: "relaxed", Speed.TURBO: "turbo"}


def mode(job: Job) -> str:
    """How the job is drawn and who sees it, as every message of it ends: `(fast)`, `(relaxed, stealth)`."""
    speed = _SPEEDS[Speed(job.speed)]
    return f"({speed}, stealth)" if job.stealth else f"({speed})"


def waiting(job: Job, ahead: int = 0) -> str:
    """The first answer, once the row is committed. `ahead` is about how many jobs come before it."""
    before = _BEGINNINGS[Action(job.action)].format(image=_image_number(job))
    place = f" - about {ahead} ahead" if ahead > 0 else ""
    return _about(job, before, f" - {_mention(job.member_id)} (Waiting to start){place}")


def progress(job: Job, fraction: float) -> str:
    """While it is drawn; never 100 %, which the result itself says."""
    percent = min(max(int(fraction * 100), 0), 99)
    action = Action(job.action)
    doing = "Upscaling by " if action in _UPSCALES else _RESULTS[action]
    return _about(job, after=f" - {doing}{_mention(job.member_id)} ({percent}%) {mode(job)}")


def stopping(job: Job) -> str:
    """After the cancel button, until the worker has obeyed."""
    return _about(job, after=f" - {_mention(job.member_id)} (Stopping)")


def cancelled(job: Job) -> str:
    return _about(job, after=f" - {_mention(job.member_id)} (Stopped)")


def finished(job: Job, pictures: int = 4, withheld: int = 0) -> str:
    """The result's own message. `withheld` of its `pictures` are blurred."""
    after = f" - {_RESULTS[Action(job.action)]}{_mention(job.member_id)} {mode(job)}"
    if withheld:
        were = "was" if withheld == 1 else "were"
        after += f"\n-# {withheld} of {pictures} pictures {were} withheld by the safety check."
    return _about(job, after=after)


def all_withheld(job: Job) -> str:
    return _about(
        job,
        after=f" - {_mention(job.member_id)}\nThe safety check withheld every picture of this job. "
        f"Other words may give pictures that can be shown.\n-# Job {job.id}",
    )


def single(job: Job, index: int, member_id: int) -> str:
    """A picture taken out of its grid (U) for `member_id`; `index` counts from 0."""
    return _about(job, after=f" - Image #{index + 1} {_mention(member_id)}")


def instead_of(channel_id: int) -> str:
    """Added to a result that comes by direct message."""
    return f"\n-# Easel cannot post in <#{channel_id}> any more, so your pictures come to you here."


def pictures_lost(job: Job) -> str:
    return _about(
        job,
        after=f" - {_mention(job.member_id)}\nSorry, the pictures were drawn, but the store has lost them. "
        + _TRY_AGAIN,
    )


def not_posted(job: Job) -> str:
    """In place of the progress message, where nobody can tell whether the pictures were posted."""
    return _about(
        job,
        after=f" - {_mention(job.member_id)}\nThe job is finished. If its pictures are not below, "
        f"`/show job_id:{job.id}` brings them.",
    )


def handed_over(job: Job) -> str:
    """Where Easel may not post by itself and the time to answer is nearly over."""
    return _about(
        job,
        after=f" - {_mention(job.member_id)} (Still drawing)\nDiscord gives no more time to answer here. "
        "**Show** goes on in this place. Otherwise the pictures will come by direct message; "
        "`/history` keeps them in any case.",
    )


def shown_below(job: Job) -> str:
    """After Show was pressed, and the job was finished."""
    return _about(job, after=f" - {_mention(job.member_id)} {mode(job)}\nFinished: its pictures are below.")


def without_pictures(job: Job) -> str:
    """Why a finished job has no pictures."""
    match JobState(job.state):
        case JobState.CANCELLED:
            return cancelled(job)
        case JobState.WITHHELD:
            return all_withheld(job)
        case _:
            return failed(job)


def failed(job: Job) -> str:
    reason = _FAILURES[ErrorCode(job.error_code or ErrorCode.CRASHED)]
    quote = f"-# Job {job.id}: quote this number to whoever runs Easel here."
    return _about(job, after=f" - {_mention(job.member_id)}\n{reason}\n{quote}")


_TRY_AGAIN = "Nothing was lost but time: try it again."
_FAILURES = {
    ErrorCode.CRASHED: f"Sorry! Could not complete the job. {_TRY_AGAIN}",
    ErrorCode.OUT_OF_MEMORY: "Sorry, there was not enough memory for this job. A smaller picture may work.",
    ErrorCode.WORKER_LOST: f"Sorry, the machine that drew this job was lost. {_TRY_AGAIN}",
    ErrorCode.MODEL_UNAVAILABLE: "Sorry, no machine can load this model now. Another `--model` may work.",
    ErrorCode.SOURCE_WITHHELD: (
        "Sorry, the safety check does not let such a picture be used. Another may work."
    ),
    ErrorCode.SOURCE_MISSING: "Sorry, the picture that this job begins with is not in the store any more.",
    ErrorCode.DISK_FULL: "Sorry, there is no room to save pictures: Easel's operator has to make some.",
    ErrorCode.TOO_OLD: f"Sorry, the job waited so long that it was given up. {_TRY_AGAIN}",
}


CONCURRENT = (
    "You have reached the maximum allowed number of concurrent jobs. "
    "Don't worry, this job will start as soon as another one finishes!"
)


def queue_full(limit: int) -> str:
    return (
        "Your job queue is full. Please wait for a job to finish first, then resubmit this one. "
        f"(At most {limit} jobs wait at a time; `/info` shows yours and can cancel them.)"
    )


def banned(reason: str, expires_at: int | None) -> str:
    """`expires_at` is in epoch milliseconds, None for ever."""
    until = "" if expires_at is None else f" until <t:{expires_at // 1000}:f>"
    because = f" Reason: {show_prompt(reason, 500)}" if reason else ""
    return f"You have been blocked from drawing here{until}.{because}"


def paused() -> str:
    return "The moderators have paused new jobs in this server. Nothing was started; try again later."


def missing_permissions(missing: Sequence[Permission]) -> str:
    names = listed([f"**{permission.value}**" for permission in missing])
    return f"I cannot post the result here: I lack {names} in this channel. A moderator can allow it."


def not_age_restricted() -> str:
    return "The safety check is switched off here, so I draw in age-restricted channels only."


def no_such_job(job_id: int) -> str:
    return f"There is no job {job_id}, or its pictures are not kept any more."


def no_such_picture() -> str:
    return "This picture is not kept any more."


def picture_withheld() -> str:
    return "The safety check withheld this picture, so nothing can be made of it."


def picture_lost() -> str:
    return "Sorry, this picture is not in the store any more. 🔄 on its grid draws new ones."


def too_large(width: int, height: int, limit: int) -> str:
    return f"That would be {width} × {height} pixels; pictures here grow to at most {limit} a side."


def no_upscaler() -> str:
    return "Pictures of this model cannot be enlarged here: its catalog entry names no upscaler."


def model_gone(name: str) -> str:
    return f"The model {code(name)} that drew this is not installed any more."


def not_yours() -> str:
    return "This is somebody else's: only they and moderators may do that."


def not_moderator() -> str:
    return "Only moderators of this server may do that."


def already_finished(state: str) -> str:
    return f"Too late: the job is {state} already."


def unknown_button() -> str:
    return "This button is from another version of Easel than the one that runs now."


def stale_command() -> str:
    return "Easel's commands have changed: reload Discord, then try again."


def forbidden_words(words: Sequence[str]) -> str:
    named = listed([code(word) for word in words])
    return f"Banned prompt detected: {named} may not be asked for here. Nothing was started."


def unexpected(reference: int | None) -> str:
    quote = "" if reference is None else f"\n-# Quote {reference} to whoever runs Easel here."
    return f"Sorry, something went wrong, and it was noted.{quote}"


def with_echo(sentence: str, echo: str) -> str:
    """A refusal with what was typed below it, to copy; without it where it would not fit or not survive."""
    whole = f"{sentence}\nYour prompt, to copy:\n{fence(echo)}"
    return whole if echo_fits(sentence, echo) else f"{sentence}\nYour prompt is in the file, to copy."


def echo_fits(sentence: str, echo: str) -> bool:
    # Discord ends a code block at the first three backticks, however long its fence is.
    return "```" not in echo and length(sentence) + length(echo) <= CONTENT - 100
