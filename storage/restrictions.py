"""Bans and pauses, and the waiting jobs that they hold.

Whether a job is held is written on its row when a ban or a pause begins and ends, so that `claim` needs to
ask nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.orm import Session

from storage import fair_queue
from storage.database import epoch_ms, insert_or_update, now
from storage.errors import Banned
from storage.tables import EXPIRING, QUEUED, Ban, Guild, Job, Member


def get_or_create_guild(session: Session, guild_id: int, *, change: bool = False) -> Guild:
    """The guild's row, created when new; nobody can pause it before the commit (with `change`: nor submit).

    Taken before any member's row.
    """
    how = {"key_share": True} if change else {"read": True}
    known = session.get(Guild, guild_id, populate_existing=True, with_for_update=how)
    if known is not None:
        return known
    row = insert_or_update(session, Guild).values(id=guild_id, settings={}, created_at=now(session))
    session.execute(row.on_conflict_do_nothing(index_elements=[Guild.id]))
    return session.get_one(Guild, guild_id, populate_existing=True, with_for_update=how)


def lock_rows(session: Session, guild_ids: Iterable[int | None], member_ids: Iterable[int]) -> list[Member]:
    """Lock what several jobs need to wait again, in the order that everybody keeps: no deadlock then."""
    for guild_id in sorted({id_ for id_ in guild_ids if id_ is not None}):
        get_or_create_guild(session, guild_id)
    in_order = select(Member).where(Member.id.in_(sorted(set(member_ids)))).order_by(Member.id)
    locking = in_order.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list(session.scalars(locking))


def is_paused(session: Session, guild_id: int | None) -> bool:
    if guild_id is None:
        return False
    return session.scalar(select(Guild.paused_at).where(Guild.id == guild_id)) is not None


def active_ban(session: Session, member_id: int, guild_id: int | None) -> Ban | None:
    """The ban that keeps a member from asking in this guild (None: in direct messages), the longest one."""
    query = (
        select(Ban)
        .where(Ban.member_id == member_id, ban_in_force(), _reaches(guild_id))
        .order_by(Ban.expires_at.is_(None).desc(), Ban.expires_at.desc())
        .limit(1)
    )
    return session.scalar(query)


def check_banned(session: Session, member_id: int, guild_id: int | None) -> None:
    """Raise Banned where a ban keeps the member from asking in this guild (None: in direct messages)."""
    ban = active_ban(session, member_id, guild_id)
    if ban is not None:
        raise Banned(ban.reason, ban.expires_at)


def ban_in_force() -> ColumnElement[bool]:
    return Ban.lifted_at.is_(None) & or_(Ban.expires_at.is_(None), Ban.expires_at > epoch_ms())


def _reaches(guild_id: int | None) -> ColumnElement[bool]:
    everywhere = Ban.scope == "operator"
    return everywhere if guild_id is None else or_(everywhere, Ban.guild_id == guild_id)


def must_be_held(session: Session, job: Job) -> bool:
    """True if a job that is queued now has to be held back."""
    return is_paused(session, job.guild_id) or active_ban(session, job.member_id, job.guild_id) is not None


def update_held(session: Session, member_ids: Iterable[int]) -> None:
    """Hold or release the waiting jobs of these members as bans and pauses now are, and count anew."""
    locked = lock_rows(session, (), member_ids)
    paused = select(Guild.id).where(Guild.id == Job.guild_id, Guild.paused_at.is_not(None)).exists()
    banned = (
        select(Ban.id)
        .where(Ban.member_id == Job.member_id, ban_in_force())
        .where(or_(Ban.scope == "operator", Ban.guild_id == Job.guild_id))
        .exists()
    )
    ids = [member.id for member in locked]
    waits = (Job.member_id.in_(ids), text(QUEUED))
    held = update(Job).where(*waits).values(held=or_(paused, banned))
    session.execute(held, execution_options={"synchronize_session": False})
    free = select(Job.member_id, func.count()).where(*waits, ~Job.held).group_by(Job.member_id)
    counted = dict(session.execute(free).all())
    for member in locked:
        add_waiting(session, member, counted.get(member.id, 0) - member.waiting)
    session.flush()


def members_with_expired_bans(session: Session) -> list[int]:
    """The members with a ban whose time is over and whose jobs are still held."""
    return sorted(
        set(session.scalars(select(Ban.member_id).where(text(EXPIRING), Ban.expires_at <= epoch_ms())))
    )


def lift_expired_bans(session: Session, member_ids: Collection[int]) -> None:
    """Let the jobs of these members go that only expired bans held."""
    if not member_ids:
        return
    # In this order: a ban that ends between the two is not marked as over while its jobs are still held.
    over = update(Ban).where(text(EXPIRING), Ban.expires_at <= epoch_ms(), Ban.member_id.in_(member_ids))
    session.execute(over.values(lifted_at=Ban.expires_at), execution_options={"synchronize_session": False})
    update_held(session, member_ids)


def add_waiting(session: Session, member: Member, more: int) -> None:
    """Count more (or fewer) waiting jobs of a member whose row is locked.

    Who begins to wait draws a turn: with an old number they would pass everybody who is waiting already.
    """
    if member.waiting == 0 and more > 0:
        member.served = fair_queue.new_turn(session)
    member.waiting += more
