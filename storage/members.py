"""Members: who they are, what they chose, what they made."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.orm import Session

from storage.contract import Action, JobState
from storage.database import insert_or_update, now
from storage.jobs import has_words, image, visible
from storage.tables import UNFINISHED, Favorite, Image, Job, Member, MemberUsage

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Totals:
    """A member's totals: pictures and jobs so far, and those under way."""

    jobs: int
    images: int
    busy_ms: int
    """Milliseconds that workers spent on their jobs."""
    running: list[Job]
    waiting: list[Job]


def member(session: Session, member_id: int, name: str = "", locale: str | None = None) -> Member:
    """The member, written down when new, renamed when `name` or `locale` is news. Locks the row until the
    commit.
    """
    row = insert_or_update(session, Member).values(
        id=member_id, name=name, locale=locale, settings={}, created_at=now(session)
    )
    news = {
        "name": func.coalesce(func.nullif(row.excluded.name, ""), Member.name),
        "locale": func.coalesce(row.excluded.locale, Member.locale),
        "deleted_at": None,
    }
    upsert = row.on_conflict_do_update(index_elements=[Member.id], set_=news).returning(Member)
    return session.scalars(upsert, execution_options={"populate_existing": True}).one()


def lock(session: Session, member_id: int) -> Member:
    """The member's row as it is now, kept from other writers until the commit.

    Every change of a job's state takes its member's row first: the counters on it then add up, and nobody
    waits for each other in a circle.
    """
    return session.get_one(Member, member_id, populate_existing=True, with_for_update={"key_share": True})


def change_settings(session: Session, member_id: int, /, **changes: Any) -> Member:
    """Set these defaults of the member's; None takes one away."""
    row = member(session, member_id)
    kept = {**row.settings, **changes}
    row.settings = {name: value for name, value in kept.items() if value is not None}
    return row


def toggle_setting(session: Session, member_id: int, name: str, value: bool | str) -> bool:
    """Give a setting this value, or take it away where it has it; True when it has it now."""
    off = member(session, member_id).settings.get(name) == value
    change_settings(session, member_id, **{name: None if off else value})
    return not off


def reset_settings(session: Session, member_id: int) -> Member:
    """Take all defaults of the member's away, their suffix and their own options too."""
    row = member(session, member_id)
    row.settings = {}
    return row


def settings_of(session: Session, member_id: int) -> dict[str, Any]:
    """The member's defaults; none for who was never seen."""
    row = session.get(Member, member_id)
    return {} if row is None else row.settings


def languages(session: Session) -> dict[int, str]:
    """The language of each member who has chosen one."""
    chosen = Member.settings["language"].as_string()
    return {
        row.id: row.locale
        for row in session.execute(select(Member.id, chosen.label("locale")).where(chosen.is_not(None)))
    }


def totals(session: Session, member_id: int) -> Totals:
    used = select(
        func.coalesce(func.sum(MemberUsage.jobs), 0),
        func.coalesce(func.sum(MemberUsage.images), 0),
        func.coalesce(func.sum(MemberUsage.busy_ms), 0),
    ).where(MemberUsage.member_id == member_id)
    jobs, images, busy_ms = session.execute(used).one()
    live = session.scalars(
        select(Job).where(Job.member_id == member_id, text(UNFINISHED)).order_by(Job.id)
    ).all()
    return Totals(
        jobs=int(jobs),
        images=int(images),
        busy_ms=int(busy_ms),
        running=[job for job in live if job.state == JobState.RUNNING],
        waiting=[job for job in live if job.state == JobState.QUEUED],
    )


def history(
    session: Session,
    member_id: int,
    words: str = "",
    before: int | None = None,
    limit: int = 5,
    *,
    after: int | None = None,
    favorites: bool = False,
    model: str | None = None,
    actions: Collection[Action] = (),
    days: int | None = None,
) -> list[Job]:
    """Jobs of the member's that have pictures to show, newest first: those with an id below `before`, or the
    next ones above `after`.

    Every one of `words` is in the prompt, in any order and case. With `favorites`, jobs of anyone's that have
    a picture the member marked. `model`, `actions` and the last `days` leave out all others where given.
    """
    query = _pictured().where(has_words(words))
    if model is not None:
        query = query.where(Job.model == model)
    if actions:
        query = query.where(Job.action.in_([action.value for action in actions]))
    if days is not None:
        query = query.where(Job.created_at > now(session) - days * DAY_MS)
    query = query.where(_marked_by(member_id)) if favorites else query.where(Job.member_id == member_id)
    if after is not None:
        newer = list(session.scalars(query.where(Job.id > after).order_by(Job.id).limit(limit)))
        return newer[::-1]
    if before is not None:
        query = query.where(Job.id < before)
    return list(session.scalars(query.order_by(Job.id.desc()).limit(limit)))


def _pictured() -> Select[Job]:
    shown = select(Image.id).where(Image.job_id == Job.id, visible(), ~Image.withheld)
    return select(Job).where(Job.state == JobState.SUCCEEDED, shown.exists())


def _marked_by(member_id: int) -> ColumnElement[bool]:
    return Job.id.in_(select(Image.job_id).where(_is_marked_by(member_id), visible(), ~Image.withheld))


def _is_marked_by(member_id: int) -> ColumnElement[bool]:
    return Image.id.in_(select(Favorite.image_id).where(Favorite.member_id == member_id))


def marked(session: Session, member_id: int, job_ids: Collection[int]) -> list[Image]:
    """The pictures of these jobs that the member marked and that may be seen, by their places."""
    shown = (Image.job_id.in_(job_ids), _is_marked_by(member_id), visible(), ~Image.withheld)
    return list(session.scalars(select(Image).where(*shown).order_by(Image.job_id, Image.index)))


def toggle_favorite(session: Session, member_id: int, image_id: int) -> bool:
    """Mark a picture, or take the mark away; True when it is marked now.

    Raises:
        NoSuchImage: where there is no such picture (any more).
        DataDeleted: its member deleted their data.
    """
    image(session, image_id)
    member(session, member_id)
    favorite = session.get(Favorite, (member_id, image_id))
    if favorite is not None:
        session.delete(favorite)
        return False
    session.add(Favorite(member_id=member_id, image_id=image_id, created_at=now(session)))
    return True


def may_take(session: Session, member_id: int, job: Job) -> bool:
    """True if a member may take a job's originals: their own, or those of a job of which they marked a
    picture.
    """
    if job.member_id == member_id:
        return True
    theirs = select(Job.id).where(Job.id == job.id, ~Job.stealth, _marked_by(member_id))
    return session.scalar(theirs) is not None


def is_favorite(session: Session, member_id: int, image_id: int) -> bool:
    return session.get(Favorite, (member_id, image_id)) is not None


def add_usage(session: Session, member_id: int, at: int, *, jobs: int, images: int, busy_ms: int) -> None:
    """Add to what the member used on the day (UTC) of `at`, in epoch milliseconds."""
    day = datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
    row = insert_or_update(session, MemberUsage).values(
        member_id=member_id, day=day, jobs=jobs, images=images, busy_ms=busy_ms
    )
    more = {
        "jobs": MemberUsage.jobs + row.excluded.jobs,
        "images": MemberUsage.images + row.excluded.images,
        "busy_ms": MemberUsage.busy_ms + row.excluded.busy_ms,
    }
    session.execute(
        row.on_conflict_do_update(index_elements=[MemberUsage.member_id, MemberUsage.day], set_=more)
    )
