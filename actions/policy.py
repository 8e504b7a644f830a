"""Rules for what may be asked for and what may be posted, in this place and now: the same for every post.

Asked when something is asked for (`check_asked`, `check_shown`), and once more when it goes out
(`check_delivery`): a ban, a forbidden word or a takedown may have come between. Each is read from the
database within the caller's transaction; the words are read before it (`word_filter.readings`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy.orm import Session

from actions import permissions, word_filter
from actions.permissions import Channel
from prompts.tokenizer import tokenize
from storage import deliveries, jobs, offers, restrictions, takedowns
from storage.catalog import Catalog
from storage.contract import GenerationRequest
from storage.errors import Paused, Refused
from storage.tables import Delivery, Guild, Job


def check_asked(session: Session, member_id: int, guild_id: int | None) -> None:
    """Raise if a member may not ask for anything new in this guild (None: in direct messages).

    Raises:
        Banned, Paused
    """
    restrictions.check_banned(session, member_id, guild_id)
    if restrictions.is_paused(session, guild_id):
        raise Paused


def check_models(
    session: Session, catalog: Catalog, guild_id: int | None, requests: Iterable[GenerationRequest]
) -> None:
    """Raise ModelOff where a model is to draw that is off in this guild, or that cannot be loaded.

    Pictures may be enlarged all the same, and described.
    """
    drawing = {one.model for one in requests if one.task.draws and (one.scale == 1 or one.creativity)}
    for model in sorted(drawing):
        offers.check(session, catalog, guild_id, model)


def check_shown(
    session: Session, job: Job, member_id: int, guild_id: int | None, image_ids: Collection[int] = ()
) -> None:
    """Raise if a job, or these pictures of it, may not be posted for a member in a guild (None: direct
    messages).

    Raises:
        Banned, NotYours (another's stealth), ForbiddenWords, TakenDown
    """
    restrictions.check_banned(session, member_id, guild_id)
    jobs.check_seen_by(job, member_id)
    check_words(session, guild_id, words_of(job), echo=job.text)
    takedowns.check(session, job.id, guild_id, image_ids)


def may_show(session: Session, job: Job) -> bool:
    """True if a job's message may show its picture in the place from which it was asked for."""
    try:
        check_shown(session, job, job.member_id, job.guild_id)
    except Refused:
        return False
    return True


def check_delivery(session: Session, delivery: Delivery, *, safety: bool) -> None:
    """Raise if a delivery that is about to be posted no longer may be, where it goes now.

    Raises:
        Banned, NotYours, ForbiddenWords, TakenDown
        NotAgeRestricted: it goes to direct messages, and nothing checks what pictures show.
        DataDeleted: its member deleted their data.
    """
    job, member_id = jobs.get(session, delivery.job_id), delivery.member_id
    if delivery.guild_id is None and not delivery.user_install:
        check_sent_home(session, job, member_id, _images(delivery), safety=safety)
    else:
        check_shown(session, job, member_id, delivery.guild_id, _images(delivery))


def check_redirected(session: Session, delivery: Delivery, *, safety: bool) -> None:
    """Raise if it may not be posted in its member's direct messages instead.

    Raises:
        as `check_delivery`.
    """
    job = jobs.get(session, delivery.job_id)
    check_sent_home(session, job, delivery.member_id, _images(delivery), safety=safety)


def check_sent_home(
    session: Session, job: Job, member_id: int, image_ids: Collection[int] = (), *, safety: bool
) -> None:
    """Raise if a job, or these pictures of it, may not go to a member's direct messages.

    Raises:
        Banned, NotYours, ForbiddenWords, TakenDown (everywhere)
        NotAgeRestricted: nothing checks what pictures show.
    """
    permissions.check(Channel(), safety=safety)
    check_shown(session, job, member_id, None, image_ids)


def _images(delivery: Delivery) -> Collection[int]:
    return () if delivery.kind != deliveries.SINGLE else (delivery.image_id or 0,)


def check_words(session: Session, guild_id: int | None, words: str, echo: str) -> None:
    """Raise ForbiddenWords for what holds everywhere, and for the guild's own words."""
    guild = None if guild_id is None else session.get(Guild, guild_id)
    word_filter.check(words, guild.settings if guild else {}, echo)


def words_of(job: Job) -> str:
    """The words that a post of the job's shows or was drawn from: asked for, or found by it."""
    asked = word_filter.asked_words(GenerationRequest.model_validate(job.request), tokenize(job.text))
    return "\n".join([asked, *(job.result or {}).get("prompts", ())])
