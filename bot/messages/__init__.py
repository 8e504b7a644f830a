"""Sentences about a job's life: waiting, progress, result, failure.

What members read of anything else stands in the files beside this one. One function a sentence. None needs
discord, and none mentions anyone but the member a job belongs to.
"""

from __future__ import annotations

from actions.table import BY_ACTION, ImageAction
from prompts.markdown import code, length, show_prompt
from prompts.translation import N_, _, ngettext
from storage.contract import Action, ErrorCode, JobState, Speed
from storage.tables import Job

CONTENT = 2000
"""UTF-16 units that a message's content may have."""
REFERENCE = 48
"""Kept free of them for a last line, by which a message without buttons is known again."""


def _about(job: Job, before: str = "", after: str = "") -> str:
    """The line that every message of a job is: its prompt in bold, cut to what the rest leaves room for."""
    room = CONTENT - REFERENCE - length(before) - length(after) - len("****")
    return f"{before}**{show_prompt(job.text, room)}**{after}"


def _action(job: Job) -> ImageAction:
    return BY_ACTION[Action(job.action)]


def _mention(member_id: int) -> str:
    return f"<@{member_id}>"


_SPEEDS = {Speed.FAST: N_("fast"), Speed.RELAX: N_("relaxed"), Speed.TURBO: N_("turbo")}


def mode(job: Job) -> str:
    """Speed and visibility of a job, as every message of it ends: `(fast)`, `(relaxed, stealth)`."""
    speed = _(_SPEEDS[Speed(job.speed)])
    return _("({speed}, stealth)").format(speed=speed) if job.stealth else _("({speed})").format(speed=speed)


def waiting(job: Job, ahead: int = 0) -> str:
    """The first answer, once the row is committed. `ahead` is about how many jobs come before it."""
    before = _(_action(job).begin).format(number=(job.parent_index or 0) + 1)
    place = _(" - about {ahead} ahead").format(ahead=ahead) if ahead > 0 else ""
    return _about(
        job,
        before,
        _(" - {member} (Waiting to start){place}").format(member=_mention(job.member_id), place=place),
    )


def progress(job: Job, fraction: float) -> str:
    """While it is drawn; never 100 %, which the result itself says."""
    percent = min(max(int(fraction * 100), 0), 99)
    action = _action(job)
    doing = _(action.doing or action.result)
    after = _(" - {doing}{member} ({percent}%) {mode}").format(
        doing=doing, member=_mention(job.member_id), percent=percent, mode=mode(job)
    )
    return _about(job, after=after)


def stopping(job: Job) -> str:
    """After the cancel button, until the worker has obeyed."""
    return _about(job, after=_(" - {member} (Stopping)").format(member=_mention(job.member_id)))


def cancelled(job: Job) -> str:
    return _about(job, after=_(" - {member} (Stopped)").format(member=_mention(job.member_id)))


def finished(job: Job, images: int = 4, withheld: int = 0) -> str:
    """The result's own message. `withheld` of its `pictures` are blurred."""
    after = _(" - {done}{member} {mode}").format(
        done=_(_action(job).result), member=_mention(job.member_id), mode=mode(job)
    )
    if withheld:
        hidden = ngettext(
            "\n-# {count} of {pictures} pictures was withheld by the safety check.",
            "\n-# {count} of {pictures} pictures were withheld by the safety check.",
            withheld,
        )
        after += hidden.format(count=withheld, pictures=images)
    return _about(job, after=after)


def all_withheld(job: Job) -> str:
    return _about(
        job,
        after=_(
            " - {member}\n"
            "The safety check withheld every picture of this job. Other words may give pictures that "
            "can be shown.\n-# Job {id}"
        ).format(member=_mention(job.member_id), id=job.id),
    )


def single(job: Job, index: int, member_id: int) -> str:
    """A picture taken out of its grid (U) for `member_id`; `index` counts from 0."""
    return _about(
        job, after=_(" - Image #{number} {member}").format(number=index + 1, member=_mention(member_id))
    )


def instead_of(channel_id: int) -> str:
    """Added to a result that comes by direct message."""
    return _("\n-# Easel cannot post in <#{channel_id}> any more, so your pictures come to you here.").format(
        channel_id=channel_id
    )


def pictures_lost(job: Job) -> str:
    return _about(
        job,
        after=_(" - {member}\nSorry, the pictures were drawn, but the store has lost them. {again}").format(
            member=_mention(job.member_id), again=_(_TRY_AGAIN)
        ),
    )


def pictures_damaged(job: Job) -> str:
    return _about(
        job,
        after=_(
            " - {member}\n"
            "Sorry, the pictures were drawn, but they cannot be shown: their files may be damaged. {again}\n"
            "-# Job {id}: quote this number to whoever runs Easel here."
        ).format(member=_mention(job.member_id), again=_(_TRY_AGAIN), id=job.id),
    )


def not_posted(job: Job) -> str:
    """In place of the progress message, where nobody can tell whether the pictures were posted."""
    return _about(
        job,
        after=_(
            " - {member}\n"
            "The job is finished. If its pictures are not below, `/show job_id:{id}` brings them."
        ).format(member=_mention(job.member_id), id=job.id),
    )


def may_not_be_posted(job: Job, why: str) -> str:
    """In place of the progress message, where something came between; `why` is the refusal's sentence."""
    may_not = _("{member}, what came of job {id} may not be posted any more.")
    return f"{may_not.format(member=_mention(job.member_id), id=job.id)}\n{why}"


def handed_over(job: Job) -> str:
    """Offer to go on, for a place where Easel may not post by itself and the time to answer is nearly
    over.
    """
    return _about(
        job,
        after=_(
            " - {member} (Still drawing)\n"
            "Discord gives no more time to answer here. **Show** goes on in this place. Otherwise the "
            "pictures will come by direct message; `/history` keeps them in any case."
        ).format(member=_mention(job.member_id)),
    )


def shown_below(job: Job) -> str:
    """After Show was pressed, and the job was finished."""
    return _about(
        job,
        after=_(" - {member} {mode}\nFinished: its pictures are below.").format(
            member=_mention(job.member_id), mode=mode(job)
        ),
    )


def without_pictures(job: Job) -> str:
    """Reason why a finished job has no pictures."""
    match JobState(job.state):
        case JobState.CANCELLED:
            return cancelled(job)
        case JobState.WITHHELD:
            return all_withheld(job)
        case _:
            return failed(job)


def withheld_everywhere(job: Job) -> str:
    """In place of a job's result: what was asked for is not shown either."""
    return _("{member}: Job {id} was withheld by whoever runs Easel here. It is shown to nobody.").format(
        member=_mention(job.member_id), id=job.id
    )


def failed(job: Job) -> str:
    reason = _(_FAILURES[ErrorCode(job.error_code or ErrorCode.CRASHED)]).format(
        again=_(_TRY_AGAIN), where=code(job.request.get("mask_words", ""))
    )
    said = [f" - {_mention(job.member_id)}", reason]
    if job.error_code not in _MENDED_BY_MEMBERS:
        said.append(_("-# Job {id}: quote this number to whoever runs Easel here.").format(id=job.id))
    return _about(job, after="\n".join(said))


_MENDED_BY_MEMBERS = {
    ErrorCode.REGION_NOT_FOUND,
    ErrorCode.REGION_TOO_LARGE,
    ErrorCode.SAMPLER_UNAVAILABLE,
    ErrorCode.SOURCE_WITHHELD,
}
_TRY_AGAIN = N_("Nothing was lost but time: try it again.")
_FAILURES = {
    ErrorCode.CRASHED: N_("Sorry! Could not complete the job. {again}"),
    ErrorCode.OUT_OF_MEMORY: N_(
        "Sorry, there was not enough memory for this job. A smaller picture may work."
    ),
    ErrorCode.WORKER_LOST: N_("Sorry, the machine that drew this job was lost. {again}"),
    ErrorCode.MODEL_UNAVAILABLE: N_("Sorry, no machine can load this model now. Another `--model` may work."),
    ErrorCode.SOURCE_WITHHELD: (
        N_("Sorry, the safety check does not let such a picture be used. Another may work.")
    ),
    ErrorCode.SOURCE_MISSING: N_(
        "Sorry, the picture that this job begins with is not in the store any more."
    ),
    ErrorCode.REGION_NOT_FOUND: N_(
        "Nothing in the picture was found to be {where}. Press Vary (Region) again and name something that "
        "is to be seen in it, such as `the sky`, or choose places instead."
    ),
    ErrorCode.REGION_TOO_LARGE: N_(
        "{where} is nearly the whole picture, and something of it has to stay. Press Vary (Region) again and "
        "name less of it, or press Vary (Strong)."
    ),
    ErrorCode.SAMPLER_UNAVAILABLE: N_(
        "Sorry, the model cannot draw with this sampler. Send the prompt again without `--sampler`."
    ),
    ErrorCode.DISK_FULL: N_("Sorry, there is no room to save pictures: Easel's operator has to make some."),
    ErrorCode.TOO_OLD: N_("Sorry, the job waited so long that it was given up. {again}"),
}
