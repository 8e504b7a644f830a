"""Bans, pauses and the log."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from storage import attempts, moderation, restrictions, states
from storage.contract import JobState
from storage.database import Database, now
from storage.errors import Banned, Paused, QueueFull
from storage.tables import AuditEntry, Ban, Member
from storage.workers import Reaper
from tests.storage import asking

GUILD, OTHER_GUILD, MODERATOR = 50, 51, 99


@pytest.fixture
def worker_id(database: Database) -> int:
    return asking.worker(database)


def _ban(database: Database, guild_id: int | None = GUILD, *, expires_in_ms: int | None = None) -> None:
    with database.writing() as session:
        expires_at = None if expires_in_ms is None else now(session) + expires_in_ms
        moderation.ban(
            session, member_id=1, guild_id=guild_id, by=MODERATOR, reason="spam", expires_at=expires_at
        )


def _held(database: Database, *job_ids: int) -> list[bool]:
    return [asking.get(database, job_id).held for job_id in job_ids]


def test_a_ban_holds_the_jobs_of_its_guild(database: Database, worker_id: int) -> None:
    here = asking.submit(database, guild_id=GUILD)
    there = asking.submit(database, guild_id=OTHER_GUILD)
    private = asking.submit(database, guild_id=None)
    _ban(database)
    assert _held(database, here, there, private) == [True, False, False]
    assert asking.counters(database) == (0, 2)
    with pytest.raises(Banned) as refusal:
        asking.submit(database, guild_id=GUILD)
    assert (refusal.value.reason, refusal.value.expires_at) == ("spam", None)
    assert {asking.must_claim(database, worker_id).job_id for _ in range(2)} == {there, private}
    assert asking.claim(database, worker_id) is None

    with database.writing() as session:
        assert moderation.unban(session, member_id=1, guild_id=GUILD, by=MODERATOR)
        assert not moderation.unban(session, member_id=1, guild_id=GUILD, by=MODERATOR)
    assert asking.must_claim(database, worker_id).job_id == here


def test_the_operators_ban_reaches_everywhere(database: Database, worker_id: int) -> None:
    jobs_of_one = [asking.submit(database, guild_id=guild_id) for guild_id in (GUILD, OTHER_GUILD, None)]
    _ban(database, None)
    assert _held(database, *jobs_of_one) == [True, True, True]
    assert asking.counters(database) == (0, 0)
    for guild_id in (GUILD, OTHER_GUILD, None):
        with pytest.raises(Banned):
            asking.submit(database, guild_id=guild_id)
    with database.writing() as session:
        assert not moderation.unban(session, member_id=1, guild_id=GUILD, by=MODERATOR)
        assert moderation.unban(session, member_id=1, guild_id=None, by=MODERATOR)
    assert asking.counters(database) == (0, 3)


def test_someone_never_seen_can_be_banned(database: Database) -> None:
    _ban(database)
    with pytest.raises(Banned):
        asking.submit(database, guild_id=GUILD)
    assert asking.submit(database, guild_id=OTHER_GUILD) == 1
    with database.reading() as session:
        assert session.get_one(Member, 1).name == "member 1"


def test_a_ban_ends_by_itself(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database, guild_id=GUILD)
    _ban(database, expires_in_ms=60_000)
    reaper = Reaper()
    with database.writing() as session:
        reaper.sweep(session)
    assert _held(database, job_id) == [True]
    with database.writing() as session:
        session.execute(update(Ban).values(expires_at=now(session)))
    asking.submit(database, guild_id=GUILD)
    assert _held(database, job_id) == [True]
    with database.writing() as session:
        reaper.sweep(session)
        assert restrictions.active_ban(session, 1, GUILD) is None
    assert _held(database, job_id) == [False]
    assert asking.counters(database) == (0, 2)


def test_a_new_ban_replaces_the_one_before(database: Database) -> None:
    _ban(database, expires_in_ms=1_000_000)
    _ban(database)
    with database.writing() as session:
        ban = restrictions.active_ban(session, 1, GUILD)
        assert ban is not None
        assert ban.expires_at is None
        moderation.unban(session, member_id=1, guild_id=GUILD, by=MODERATOR)
        assert restrictions.active_ban(session, 1, GUILD) is None


def test_a_pause_holds_everyone_in_the_guild(database: Database, worker_id: int) -> None:
    running = asking.submit(database, 1, guild_id=GUILD)
    claim = asking.must_claim(database, worker_id)
    here = [asking.submit(database, member_id, guild_id=GUILD) for member_id in (1, 2, 3)]
    there = asking.submit(database, 2, guild_id=OTHER_GUILD)
    with database.writing() as session:
        assert moderation.pause(session, GUILD, MODERATOR)
        assert not moderation.pause(session, GUILD, MODERATOR)
        assert restrictions.is_paused(session, GUILD)
        assert not restrictions.is_paused(session, OTHER_GUILD)
        assert not restrictions.is_paused(session, None)
    assert _held(database, *here, there) == [True, True, True, False]
    with pytest.raises(Paused):
        asking.submit(database, 4, guild_id=GUILD)
    assert asking.must_claim(database, worker_id).job_id == there
    assert asking.claim(database, worker_id) is None
    assert asking.finish(database, claim).id == running

    with database.writing() as session:
        assert moderation.resume(session, GUILD, MODERATOR)
        assert not moderation.resume(session, GUILD, MODERATOR)
        asking.assert_sound(session)
    assert {asking.must_claim(database, worker_id).job_id for _ in here} == set(here)


def test_resuming_leaves_the_banned_held(database: Database) -> None:
    banned = asking.submit(database, 1, guild_id=GUILD)
    free = asking.submit(database, 2, guild_id=GUILD)
    with database.writing() as session:
        moderation.pause(session, GUILD, MODERATOR)
    _ban(database)
    with database.writing() as session:
        moderation.resume(session, GUILD, MODERATOR)
    assert _held(database, banned, free) == [True, False]
    assert asking.counters(database, 1) == (0, 0)
    assert asking.counters(database, 2) == (0, 1)


def test_a_job_that_comes_back_is_held_too(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database, guild_id=GUILD)
    claim = asking.must_claim(database, worker_id)
    with database.writing() as session:
        moderation.pause(session, GUILD, MODERATOR)
    with database.writing() as session:
        attempts.requeue(session, job_id, claim.attempt)
    assert _held(database, job_id) == [True]
    assert asking.counters(database) == (0, 0)
    with database.writing() as session:
        assert states.cancel(session, job_id) is JobState.CANCELLED
        asking.assert_sound(session)
    assert _held(database, job_id) == [False]


def test_held_jobs_count_to_the_limit_of_waiting(database: Database) -> None:
    for _ in range(10):
        asking.submit(database, guild_id=GUILD)
    with database.writing() as session:
        moderation.pause(session, GUILD, MODERATOR)
    with pytest.raises(QueueFull):
        asking.submit(database, guild_id=OTHER_GUILD)


def test_whoever_is_released_waits_behind_the_others(database: Database, worker_id: int) -> None:
    asking.submit(database, 1, guild_id=GUILD)
    with database.writing() as session:
        moderation.pause(session, GUILD, MODERATOR)
    asking.submit_many(database, 2, 2)
    with database.writing() as session:
        moderation.resume(session, GUILD, MODERATOR)
    assert [asking.must_claim(database, worker_id).job_id for _ in range(3)] == [2, 1, 3]


def test_the_guilds_queue(database: Database, worker_id: int) -> None:
    first, second = (asking.submit(database, 1, guild_id=GUILD) for _ in range(2))
    asking.submit(database, 1, guild_id=OTHER_GUILD)
    third = asking.submit(database, 2, guild_id=GUILD)
    asking.must_claim(database, worker_id)
    assert asking.must_claim(database, worker_id).job_id == third
    with database.reading() as session:
        assert [job.id for job in moderation.guild_queue(session, GUILD)] == [first, third, second]


def test_every_act_is_in_the_log(database: Database) -> None:
    job_id = asking.submit(database, guild_id=GUILD)
    _ban(database)
    with database.writing() as session:
        moderation.unban(session, member_id=1, guild_id=GUILD, by=MODERATOR)
        moderation.pause(session, GUILD, MODERATOR)
        moderation.resume(session, GUILD, MODERATOR)
        assert moderation.cancel_by_moderator(session, job_id, MODERATOR) is JobState.CANCELLED
        moderation.audit(session, guild_id=OTHER_GUILD, actor_id=1, action="pause")
    with database.reading() as session:
        log = moderation.entries(session, GUILD)
        assert [entry.action for entry in log] == ["cancel", "resume", "pause", "unban", "ban"]
        assert (log[0].target_id, log[0].job_id, log[0].actor_id) == (1, job_id, MODERATOR)
        assert log[-1].detail == {"reason": "spam", "expires_at": None}
        page = moderation.entries(session, GUILD, before=log[1].id, limit=2)
        assert [entry.action for entry in page] == ["pause", "unban"]
        assert moderation.verify_chain(session) == []


def test_the_log_shows_what_was_done_to_it(database: Database) -> None:
    with database.writing() as session:
        for index in range(5):
            moderation.audit(session, guild_id=GUILD, actor_id=index, action="pause", detail={"näme": "é"})
    with database.writing() as session:
        session.execute(update(AuditEntry).where(AuditEntry.id == 2).values(actor_id=7))
        session.execute(delete(AuditEntry).where(AuditEntry.id == 4))
    with database.reading() as session:
        assert moderation.verify_chain(session) == [
            "Audit entry 2 was changed after it was written.",
            "Audit entry 5 does not follow the one before it: some were taken out.",
        ]


def test_a_ban_that_ends_while_another_is_cleared_away_releases_its_jobs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's clock goes on between the statements of one release."""
    jobs_there = [asking.submit(database, guild_id=guild_id) for guild_id in (GUILD, OTHER_GUILD)]
    _ban(database, GUILD, expires_in_ms=0)
    _ban(database, OTHER_GUILD, expires_in_ms=400)
    reconsider = restrictions.update_held

    def slowly(session: Session, member_ids: Iterable[int]) -> None:
        reconsider(session, member_ids)
        time.sleep(0.5)

    monkeypatch.setattr(restrictions, "update_held", slowly)
    reaper = Reaper()
    for _ in range(2):
        with database.writing() as session:
            reaper.sweep(session)
    assert _held(database, *jobs_there) == [False, False]
