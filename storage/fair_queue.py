"""Fair queue: the member that a worker serves next, and the one of their jobs that it takes.

The member who was served longest ago comes first; every claim and every newcomer draws a turn number of their
own. Relaxed jobs wait until no other is to be had, but not for ever: after `PATIENCE_MS` they count as fast.
Both statements are the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Select,
    String,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session, aliased

from storage.database import epoch_ms
from storage.tables import QUEUED, RELAXED, Job, Member, Turn

RACERS = 32
"""Members looked at in one claim: as many claims may run at once before one finds nothing beside the others.
"""
WINDOW = 20
"""Turns by which a member whose model is loaded may come before the one whose turn it is."""
PATIENCE_MS = 10 * 60_000
"""After waiting so long a relaxed job counts as a fast one."""
SINGLES = 3
"""A member's single jobs that come before one of their batches' jobs, while there are both."""
REQUEST_VERSION = 1
"""The newest request that this version's workers can read; newer ones are left to newer workers."""


def new_turn(session: Session) -> int:
    """A new turn number, higher than all before."""
    if session.get_bind().dialect.name == "postgresql":
        return session.scalars(select(func.nextval("turns_id_seq", type_=BigInteger))).one()
    turn = session.scalars(insert(Turn).returning(Turn.id)).one()
    session.execute(delete(Turn))
    return turn


def next_member(
    session: Session,
    models: Collection[str],
    loaded: Collection[str],
    passed: Collection[int] = (),
    *,
    suspects: bool = True,
) -> Member | None:
    """The member whose turn it is among those with a job for these models, their row locked; None: no work.

    Members with only relaxed jobs are served when no other member is eligible. A member with a job for a
    `loaded` model comes first when at most `WINDOW` turns behind. Members in `passed` are left out, and with
    `suspects` False jobs that must run in an idle worker.
    """
    asked = {"models": list(models), "passed": list(passed), "suspects": suspects}
    for prompt in (True, False):
        if loaded and set(loaded) < set(models):
            statement = _next_loaded(bool(passed), prompt)
            preferred = session.scalars(statement, {**asked, "loaded": list(loaded)}).first()
            if preferred is not None:
                return preferred
        member = session.scalars(_next(bool(passed), prompt), asked).first()
        if member is not None:
            return member
    return None


def next_job(
    session: Session,
    member: Member,
    models: Collection[str],
    loaded: Collection[str],
    *,
    suspects: bool = True,
) -> Job | None:
    """The job of this member's that comes next, locked: by priority, then single ones before those of batches
    (but for each fourth), then what is loaded, then by age.
    """
    asked = {"member": member.id, "models": list(models), "loaded": list(loaded), "suspects": suspects}
    return session.scalars(_next_job(bool(loaded), member.singles >= SINGLES), asked).first()


def singles_after(member: Member, job: Job) -> int:
    """The member's count of single jobs, once this job is claimed."""
    return min(member.singles + 1, SINGLES) if job.batch_id is None else 0


def _models(name: str) -> BindParameter[str]:
    return bindparam(name, expanding=True, type_=String)


def _servable(models: str = "models") -> tuple[ColumnElement[bool], ...]:
    return (
        ~Job.held,
        Job.model.in_(_models(models)),
        Job.request_version <= REQUEST_VERSION,
        or_(Job.due_at.is_(None), Job.due_at <= epoch_ms()),
        or_(~Job.suspect, bindparam("suspects", True, type_=Boolean)),
    )


def _prompt() -> ColumnElement[bool]:
    """True if a job need not wait for others: it is not relaxed, or has waited long enough."""
    return or_(Job.priority >= 0, Job.created_at <= epoch_ms() - PATIENCE_MS)


def _priority() -> ColumnElement[int]:
    return case(((Job.priority < 0) & _prompt(), 0), else_=Job.priority)


# Claims are many, and to put a statement together takes longer than to run it.
@cache
def _next_job(some_loaded: bool, batch_first: bool) -> Select[Job]:
    batched = case((Job.batch_id.is_not(None), 1), else_=0)
    # Not `false()` where nothing is loaded: SQLite reads a bare 0 as the number of a column.
    loaded_first = [case((Job.model.in_(_models("loaded")), 1), else_=0).desc()] if some_loaded else []
    return (
        select(Job)
        .where(Job.member_id == bindparam("member"), text(QUEUED), *_servable())
        .order_by(_priority().desc(), batched.desc() if batch_first else batched, *loaded_first, Job.id)
        .limit(1)
        .with_for_update(of=Job, key_share=True)
        .execution_options(populate_existing=True)
    )


@cache
def _next(some_passed: bool, prompt: bool) -> Select[Member]:
    return _first(_in_turn(some_passed, prompt=prompt))


@cache
def _next_loaded(some_passed: bool, prompt: bool) -> Select[Member]:
    fairest = _in_turn(some_passed, prompt=prompt).limit(1).with_only_columns(Member.served).scalar_subquery()
    return _first(_in_turn(some_passed, "loaded", prompt=prompt).where(Member.served <= fairest + WINDOW))


def _in_turn(some_passed: bool, models: str = "models", *, prompt: bool = False) -> Select[int, int]:
    job = select(Job.id).where(Job.member_id == Member.id, text(QUEUED), *_servable(models)).correlate(Member)
    if prompt:
        job = job.where(_prompt())
    query = select(Member.id, Member.served).where(
        Member.waiting > 0, Member.running < Member.running_limit, job.exists()
    )
    if some_passed:
        query = query.where(Member.id.not_in(bindparam("passed", expanding=True)))
    return query.order_by(Member.served, Member.id)


def _first(in_turn: Select[int, int]) -> Select[Member]:
    # PostgreSQL chooses in the state at the statement's beginning and looks again only at the row it
    # locks. The join on `served` lets that second look see that the member was served meanwhile; without
    # it they get two turns.
    seen = in_turn.limit(RACERS).subquery()
    locked = aliased(Member)
    return (
        select(locked)
        .join(seen, (locked.id == seen.c.id) & (locked.served == seen.c.served))
        .where(locked.running < locked.running_limit, locked.waiting > 0)
        .order_by(seen.c.served, seen.c.id)
        .limit(1)
        .with_for_update(of=locked, skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    )


def jobs_ahead(session: Session, job: Job) -> int:
    """About how many waiting jobs are claimed before this one, if everyone is served in turn from now on."""
    mine = session.get_one(Member, job.member_id)
    relaxed = job.priority < 0
    own, alike = _own_before(session, job)
    rounds = case((Member.served < mine.served, alike + 1), else_=alike)
    relaxed_jobs = (
        select(Job.member_id, func.count().label("count"))
        .where(text(RELAXED), ~Job.held)
        .group_by(Job.member_id)
        .subquery()
    )
    theirs_relaxed = func.coalesce(relaxed_jobs.c.count, 0)
    theirs_prompt = Member.waiting - theirs_relaxed
    like_it = theirs_relaxed if relaxed else theirs_prompt
    in_turn = case((like_it < rounds, like_it), else_=rounds)
    before = theirs_prompt + in_turn if relaxed else in_turn
    others = (
        select(func.sum(before))
        .select_from(Member)
        .outerjoin(relaxed_jobs, relaxed_jobs.c.member_id == Member.id)
        .where(Member.waiting > 0, Member.id != mine.id)
    )
    return own + int(session.scalar(others) or 0)


def _own_before(session: Session, job: Job) -> tuple[int, int]:
    """Number of the member's jobs that come before this one, and how many of those are relaxed if it is."""
    of_its_kind = Job.batch_id.is_(None) if job.batch_id is None else Job.batch_id.is_not(None)
    same = Job.priority == job.priority
    alike = Job.priority < 0 if job.priority < 0 else Job.priority >= 0
    counted = (
        _count(Job.priority > job.priority),
        _count((Job.priority > job.priority) & alike),
        _count(same & of_its_kind & (Job.id < job.id)),
        _count(same & ~of_its_kind),
    )
    mine = (Job.member_id == job.member_id, text(QUEUED), ~Job.held)
    sooner, sooner_alike, before, others = session.execute(select(*counted).where(*mine)).one()
    singles = session.get_one(Member, job.member_id).singles
    between = (singles + before) // SINGLES if job.batch_id is None else SINGLES * (before + 1) - singles
    before += min(others, between)
    return sooner + before, sooner_alike + before


def _count(of: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((of, 1), else_=0)), 0)
