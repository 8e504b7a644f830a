"""The words that a guild forbids in prompts, beside those that are forbidden everywhere."""

from __future__ import annotations

from sqlalchemy.orm import Session

from storage import moderation, restrictions
from storage.tables import Guild

NAME = "banned_words"
"""Their name among a guild's settings."""
MOST = 500


def listed(session: Session, guild_id: int) -> list[str]:
    """The guild's words and phrases, in the order in which they were forbidden."""
    guild = session.get(Guild, guild_id)
    return [] if guild is None else list(guild.settings.get(NAME, ()))


def forbid(session: Session, guild_id: int, by: int, word: str) -> bool:
    """Forbid a word or phrase; False where it is forbidden already, or `MOST` are."""
    known = _locked(session, guild_id)
    if word in known or len(known) >= MOST:
        return False
    _keep(session, guild_id, [*known, word])
    moderation.audit(session, guild_id=guild_id, actor_id=by, action="forbid", detail={"word": word})
    return True


def permit(session: Session, guild_id: int, by: int, word: str) -> bool:
    """Forbid a word or phrase no more; False where it was not forbidden."""
    known = _locked(session, guild_id)
    if word not in known:
        return False
    _keep(session, guild_id, [other for other in known if other != word])
    moderation.audit(session, guild_id=guild_id, actor_id=by, action="permit", detail={"word": word})
    return True


def _locked(session: Session, guild_id: int) -> list[str]:
    return list(restrictions.get_or_create_guild(session, guild_id, change=True).settings.get(NAME, ()))


def _keep(session: Session, guild_id: int, words: list[str]) -> None:
    guild = session.get_one(Guild, guild_id)
    guild.settings = {**guild.settings, NAME: words}
    session.flush()
