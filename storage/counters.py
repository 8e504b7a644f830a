"""Check of the members' counters against the jobs that they count."""

from __future__ import annotations

from sqlalchemy import ColumnElement, case, func, select, text
from sqlalchemy.orm import Session

from storage import members
from storage.contract import JobState
from storage.tables import UNFINISHED, Job, Member

NONE = (0, 0)


def verify(session: Session, repair: bool = False) -> list[str]:
    """Compare counters and rows: a sentence for each difference; with `repair` the counters are set to the
    rows.
    """
    counters = select(Member.id, Member.running, Member.waiting)
    busy = session.execute(counters.where((Member.running != 0) | (Member.waiting != 0)))
    said = {member_id: (running, waiting) for member_id, running, waiting in busy}
    counted = _count(session)
    problems = []
    for member_id in sorted(said.keys() | counted.keys()):
        says, has = said.get(member_id, NONE), counted.get(member_id, NONE)
        if says == has:
            continue
        problems.append(
            f"Member {member_id} counts {says[0]} running and {says[1]} waiting jobs, "
            f"but has {has[0]} and {has[1]}."
        )
        if repair:
            member = members.lock(session, member_id)
            member.running, member.waiting = _count(session, Job.member_id == member_id).get(member_id, NONE)
    return problems


def _count(session: Session, *of: ColumnElement[bool]) -> dict[int, tuple[int, int]]:
    """Numbers of jobs that run and that may be claimed, for each member that has any."""
    running = func.sum(case((Job.state == JobState.RUNNING, 1), else_=0))
    waiting = func.sum(case(((Job.state == JobState.QUEUED) & ~Job.held, 1), else_=0))
    query = select(Job.member_id, running, waiting).where(text(UNFINISHED), *of).group_by(Job.member_id)
    return {member_id: (runs, waits) for member_id, runs, waits in session.execute(query)}
