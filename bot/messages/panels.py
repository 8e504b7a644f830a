"""What the private panels say: /info, /queue and /mod."""

from __future__ import annotations

from collections.abc import Sequence

from bot.prompt_text import show_prompt
from storage.contract import JobState, Speed
from storage.members import Totals
from storage.tables import AuditEntry, Ban, Job, Member

_SHORT_PROMPT = 150
_LINE = 80
_SPEEDS = {Speed.FAST: "Fast", Speed.RELAX: "Relaxed", Speed.TURBO: "Turbo"}
_AUDIT_DEEDS = {
    "ban": "banned",
    "unban": "lifted the ban of",
    "pause": "paused new jobs",
    "resume": "let new jobs run again",
    "cancel": "cancelled a job of",
    "cancel_batch": "cancelled a batch of",
    "delete": "deleted a picture of",
    "withhold": "withheld a reported job of",
    "dismiss": "dismissed the report of a job of",
    "forbid": "forbade in prompts",
    "permit": "allowed in prompts again",
}


def _when(milliseconds: int, style: str = "R") -> str:
    return f"<t:{milliseconds // 1000}:{style}>"


def info_title(member: Member, totals: Totals, waiting: int) -> str:
    """`waiting` entries of their queue wait."""
    minutes = totals.busy_ms / 60_000
    speed = _SPEEDS[Speed(member.settings.get("speed") or Speed.FAST)]
    visibility = "Stealth" if member.settings.get("stealth") else "Public"
    return (
        "### Your info\n"
        f"**Job mode:** {speed}\n"
        f"**Visibility mode:** {visibility}\n"
        f"**Lifetime usage:** {totals.images} pictures in {totals.jobs} jobs ({minutes:.1f} minutes)\n"
        f"**Running jobs:** {len(totals.running)} of {member.running_limit}\n"
        f"**Waiting jobs:** {waiting} of {member.waiting_limit}"
    )


def last_pictures(made: Sequence[tuple[Job, str]]) -> str:
    """Jobs with links to their pictures."""
    lines = [
        f"[Job {job.id}]({url}) {_when(job.finished_at or job.created_at)}: {show_prompt(job.text, _LINE)}"
        for job, url in made
    ]
    return "\n".join(["**Last pictures**", *lines])


def queue_title(count: int) -> str:
    if not count:
        return "### Your queue\nNothing runs or waits: type `/imagine`. `/history` has what is finished."
    entries = "1 entry runs or waits" if count == 1 else f"{count} entries run or wait"
    return f"### Your queue\n{entries}."


def queue_line(job: Job, *, with_member: bool = False, url: str | None = None) -> str:
    """One job of a queue. Somebody else's is named after its member."""
    state = "running" if job.state == JobState.RUNNING else "waiting"
    if job.cancel_requested_at is not None:
        state = "stopping"
    elif job.held:
        state = "held"
    facts = [f"Job {job.id}", state, _when(job.created_at)]
    if with_member:
        facts.insert(1, f"<@{job.member_id}>")
    if url is not None:
        facts.append(f"[jump]({url})")
    return f"{show_prompt(job.text, _SHORT_PROMPT)}\n-# {' · '.join(facts)}"


def queue_rest(left_out: int) -> str:
    return f"-# … and {left_out} more."


def guild_queue_title(count: int, *, paused: bool) -> str:
    state = "New jobs are paused here: `/mod resume` lets them run." if paused else ""
    jobs = "No job runs or waits here." if not count else f"{count} jobs run or wait here."
    return "\n".join(filter(None, ["### Queue of this server", jobs, state]))


def shown_again(job: Job) -> str:
    match JobState(job.state):
        case JobState.SUCCEEDED:
            return f"Job {job.id} comes here again."
        case JobState.QUEUED | JobState.RUNNING:
            return f"Job {job.id} is not finished yet; it will be posted when it is."
        case state:
            return f"Job {job.id} has no pictures to show: it was {state.value}."


def favorite(marked: bool) -> str:
    if marked:
        return "Added to your favorites; `/history` finds them with ❤️."
    return "Taken out of your favorites."


def banned(member_id: int, ban: Ban) -> str:
    until = "until it is lifted" if ban.expires_at is None else f"until {_when(ban.expires_at, 'f')}"
    return f"<@{member_id}> is banned from drawing in this server {until}. Waiting jobs of theirs are held."


def unbanned(member_id: int) -> str:
    return f"<@{member_id}> may draw in this server again."


def not_banned(member_id: int) -> str:
    return f"<@{member_id}> is not banned in this server."


def paused() -> str:
    return "New jobs are refused in this server and waiting ones are held, until `/mod resume`."


def resumed() -> str:
    return "Jobs run in this server again."


def cancelled_by_moderator(job_id: int) -> str:
    return f"Job {job_id} is being stopped; its member reads that it was cancelled."


def no_self_ban() -> str:
    return "You cannot ban yourself or a bot."


def audit(entries: Sequence[AuditEntry]) -> str:
    if not entries:
        return "### Audit log\nNothing here (any more)."
    return "\n".join(["### Audit log", *map(_audit_line, entries)])


def _audit_line(entry: AuditEntry) -> str:
    deed = _AUDIT_DEEDS.get(entry.action, entry.action)
    parts = [_when(entry.at, "f"), f"<@{entry.actor_id}>", deed]
    if entry.target_id is not None:
        parts.append(f"<@{entry.target_id}>")
    if entry.job_id is not None:
        parts.append(f"(job {entry.job_id})")
    reason = entry.detail.get("reason") or entry.detail.get("word")
    return " ".join(parts) + (f": {show_prompt(str(reason), 200)}" if reason else "")
