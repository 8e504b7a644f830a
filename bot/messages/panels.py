"""Sentences of the private panels: /info, /queue and /mod."""

from __future__ import annotations

from collections.abc import Sequence

from bot.messages.states import jump, named
from prompts.markdown import show_prompt
from prompts.translation import N_, _, ngettext
from storage.contract import JobState, Speed
from storage.members import Totals
from storage.tables import AuditEntry, Ban, Job, Member

_SHORT_PROMPT = 150
_LINE = 80
_SPEEDS = {Speed.FAST: N_("Fast"), Speed.RELAX: N_("Relaxed"), Speed.TURBO: N_("Turbo")}
_AUDIT_ACTIONS = {
    "ban": N_("banned {member}"),
    "unban": N_("lifted the ban of {member}"),
    "pause": N_("paused new jobs"),
    "resume": N_("let new jobs run again"),
    "cancel": N_("cancelled a job of {member}"),
    "cancel_batch": N_("cancelled a batch of {member}"),
    "delete": N_("deleted a picture of {member}"),
    "take_down": N_("took down a picture of {member}"),
    "restore": N_("let a job of {member} be shown here again"),
    "withhold": N_("withheld a reported job of {member}"),
    "withhold_everywhere": N_("withheld a job of {member} everywhere"),
    "restore_everywhere": N_("let a job of {member} be shown again everywhere"),
    "dismiss": N_("dismissed the report of a job of {member}"),
    "forbid": N_("forbade in prompts"),
    "permit": N_("allowed in prompts again"),
    "model_on": N_("turned a model on"),
    "model_off": N_("turned a model off"),
    "model_default": N_("chose the default model"),
}


def _when(milliseconds: int, style: str = "R") -> str:
    return f"<t:{milliseconds // 1000}:{style}>"


def info_title(member: Member, totals: Totals, waiting: int) -> str:
    """`waiting` entries of their queue wait."""
    minutes = totals.busy_ms / 60_000
    speed = _(_SPEEDS[Speed(member.settings.get("speed") or Speed.FAST)])
    visibility = _("Stealth") if member.settings.get("stealth") else _("Public")
    return _(
        "### Your info\n**Job mode:** {speed}\n**Visibility mode:** {visibility}\n"
        "**Lifetime usage:** {images} pictures in {jobs} jobs ({minutes:.1f} minutes)\n"
        "**Running jobs:** {running} of {running_limit}\n"
        "**Waiting jobs:** {waiting} of {waiting_limit}"
    ).format(
        speed=speed,
        visibility=visibility,
        images=totals.images,
        jobs=totals.jobs,
        minutes=minutes,
        running=len(totals.running),
        running_limit=member.running_limit,
        waiting=waiting,
        waiting_limit=member.waiting_limit,
    )


def last_pictures(made: Sequence[tuple[Job, str]]) -> str:
    """Jobs with links to their pictures."""
    lines = [
        _("[Job {id}]({url}) {when}: {prompt}").format(
            id=job.id,
            url=url,
            when=_when(job.finished_at or job.created_at),
            prompt=show_prompt(job.text, _LINE),
        )
        for job, url in made
    ]
    return "\n".join([_("**Last pictures**"), *lines])


def queue_title(count: int) -> str:
    if not count:
        return _("### Your queue\nNothing runs or waits: type `/imagine`. `/history` has what is finished.")
    entries = ngettext("1 entry runs or waits.", "{count} entries run or wait.", count)
    return _("### Your queue\n{entries}").format(entries=entries.format(count=count))


def queue_line(job: Job, *, with_member: bool = False, url: str | None = None) -> str:
    """One job of a queue. Somebody else's is named after its member."""
    state = _("running") if job.state == JobState.RUNNING else _("waiting")
    if job.cancel_requested_at is not None:
        state = _("stopping")
    elif job.held:
        state = _("held")
    facts = [_("Job {id}").format(id=job.id), state, _when(job.created_at)]
    if with_member:
        facts.insert(1, f"<@{job.member_id}>")
    if url is not None:
        facts.append(jump(url))
    return f"{show_prompt(job.text, _SHORT_PROMPT)}\n-# {' · '.join(facts)}"


def queue_rest(left_out: int) -> str:
    return _("-# … and {left_out} more.").format(left_out=left_out)


def guild_queue_title(count: int, *, paused: bool) -> str:
    state = _("New jobs are paused here: `/mod resume` lets them run.") if paused else ""
    jobs = (
        _("No job runs or waits here.")
        if not count
        else _("{count} jobs run or wait here.").format(count=count)
    )
    return "\n".join(filter(None, [_("### Queue of this server"), jobs, state]))


def shown_again(job: Job) -> str:
    match JobState(job.state):
        case JobState.SUCCEEDED:
            return _("Job {id} comes here again.").format(id=job.id)
        case JobState.QUEUED | JobState.RUNNING:
            return _("Job {id} is not finished yet; it will be posted when it is.").format(id=job.id)
        case state:
            return _("Job {id} has no pictures to show: it was {state}.").format(
                id=job.id, state=named(state)
            )


def favorite(marked: bool) -> str:
    if marked:
        return _("Added to your favorites; `/history` finds them with ❤️.")
    return _("Taken out of your favorites.")


def banned(member_id: int, ban: Ban) -> str:
    if ban.expires_at is None:
        return _(
            "<@{member_id}> is banned from drawing in this server until it is lifted. "
            "Waiting jobs of theirs are held."
        ).format(member_id=member_id)
    return _(
        "<@{member_id}> is banned from drawing in this server until {when}. Waiting jobs of theirs are held."
    ).format(member_id=member_id, when=_when(ban.expires_at, "f"))


def unbanned(member_id: int) -> str:
    return _("<@{member_id}> may draw in this server again.").format(member_id=member_id)


def not_banned(member_id: int) -> str:
    return _("<@{member_id}> is not banned in this server.").format(member_id=member_id)


def paused() -> str:
    return _("New jobs are refused in this server and waiting ones are held, until `/mod resume`.")


def resumed() -> str:
    return _("Jobs run in this server again.")


def cancelled_by_moderator(job_id: int) -> str:
    return _("Job {job_id} is being stopped; its member reads that it was cancelled.").format(job_id=job_id)


def restored(job_id: int) -> str:
    return _("Job {job_id} may be shown in this server again; its member can, with `/show`.").format(
        job_id=job_id
    )


def not_taken_down(job_id: int) -> str:
    return _("Nothing of job {job_id} is withheld in this server.").format(job_id=job_id)


def no_self_ban() -> str:
    return _("You cannot ban yourself or a bot.")


def audit(entries: Sequence[AuditEntry]) -> str:
    if not entries:
        return _("### Audit log\nNothing here (any more).")
    return "\n".join([_("### Audit log"), *map(_audit_line, entries)])


def _actor(entry: AuditEntry) -> str:
    return f"<@{entry.actor_id}>" if entry.actor_id else _("the operator")


def _audit_line(entry: AuditEntry) -> str:
    member = _("a member") if entry.target_id is None else f"<@{entry.target_id}>"
    action = _(_AUDIT_ACTIONS.get(entry.action, entry.action)).format(member=member)
    line = " ".join([_when(entry.at, "f"), _actor(entry), action])
    if entry.job_id is not None:
        line = _("{line} (job {job_id})").format(line=line, job_id=entry.job_id)
    reason = entry.detail.get("reason") or entry.detail.get("word")
    if reason:
        line = _("{line}: {reason}").format(line=line, reason=show_prompt(str(reason), 200))
    return line
