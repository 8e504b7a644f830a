"""Several real processes at one database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from storage import counters, moderation, states, submissions
from storage.contract import JobState
from storage.database import Database
from storage.tables import Delivery, Image, Job, Member, MemberUsage
from tests.storage import asking, racers
from tests.storage.racers import Race

RACERS = 4


@pytest.fixture(scope="module")
def race() -> Iterator[racers.Race]:
    started = racers.Race(RACERS)
    yield started
    started.close()


def test_each_job_is_claimed_once_within_limits(database: Database, database_url: str, race: Race) -> None:
    per_member = dict.fromkeys(range(1, 9), 6)
    for member_id, count in per_member.items():
        asking.submit_many(database, member_id, count)
    total = sum(per_member.values())

    seen = race(racers.claim_all, database_url, 6, total)

    claimed = Counter(job_id for racer in seen for job_id, _, _ in racer.claims)
    assert len(claimed) == total
    assert set(claimed.values()) == {1}
    assert [broken for racer in seen for broken in racer.over_limit] == []
    assert sum(len(racer.claims) > 0 for racer in seen) > 1, "they raced"
    with database.reading() as session:
        assert counters.verify(session) == []
        assert session.scalar(select(func.max(Member.running))) == 0
        assert session.scalar(select(func.max(Member.waiting))) == 0
        assert session.scalar(select(func.count(Image.id))) == total * 4
        assert session.scalar(select(func.count(Delivery.id))) == total
        assert session.scalar(select(func.sum(MemberUsage.images))) == total * 4


def test_members_take_turns(database: Database, database_url: str, race: Race) -> None:
    """Nobody is served again before all others were, but for the claims that ran at the same time."""
    members, rounds = 30, 3
    for member_id in range(1, members + 1):
        asking.submit_many(database, member_id, rounds)

    seen = race(racers.claim_all, database_url, 1, members * rounds)

    in_order = sorted((turn, member_id) for racer in seen for _, member_id, turn in racer.claims)
    places = defaultdict(list)
    for place, (_, member_id) in enumerate(in_order):
        places[member_id].append(place)
    gaps = [after - before for own in places.values() for before, after in pairwise(own)]
    assert len(gaps) == members * (rounds - 1)
    assert min(gaps) >= members - 2 * RACERS
    assert max(gaps) <= members + 2 * RACERS


def test_presses_that_race_are_one_job(database: Database, database_url: str, race: Race) -> None:
    seen = race(racers.submit_press, database_url, "1:e1:v:7:2", 3)
    outcomes = [outcome for racer in seen for outcome in racer]
    assert len({job_id for job_id, _ in outcomes}) == 1
    assert sum(fresh for _, fresh in outcomes) == 1
    assert asking.counters(database) == (0, 1)


def test_counters_survive_cancelling(database: Database, database_url: str, race: Race) -> None:
    refused = sum(race(racers.submit_and_cancel, database_url, 12))
    with database.reading() as session:
        assert counters.verify(session) == []
        waiting = session.scalar(select(func.count(Job.id)).where(Job.state == JobState.QUEUED))
        assert waiting == session.get_one(Member, 1).waiting == 10
        assert session.scalar(select(func.count(Job.id))) == RACERS * 12 - refused


def test_no_update_is_lost_between_processes(database: Database, database_url: str, race: Race) -> None:
    with database.writing() as session:
        session.add(Member(id=1, waiting_limit=0, created_at=0, settings={}))
    race(racers.add_one, database_url, 100)
    with database.reading() as session:
        assert session.get_one(Member, 1).waiting_limit == RACERS * 100


def test_bots_never_hold_the_same_delivery(database: Database, database_url: str, race: Race) -> None:
    for member_id in range(1, 31):
        with database.writing() as session:
            states.cancel(session, submissions.submit(session, asking.draft(member_id)).job.id)
    delivered = Counter(d for bot in race(racers.take_deliveries, database_url) for d in bot)
    assert len(delivered) == 30
    assert set(delivered.values()) == {1}


def test_a_job_ends_once_beside_a_reaper(database: Database, database_url: str, race: Race) -> None:
    for member_id in range(1, 31):
        asking.submit(database, member_id)
    worker_id = asking.worker(database)
    claims = [asking.must_claim(database, worker_id) for _ in range(30)]
    attempts = [(claim.job_id, claim.attempt) for claim in claims]

    finished, *taken_back = race(racers.finish_or_reap, database_url, attempts)

    assert sorted(sum(taken_back, finished)) == sorted(job_id for job_id, _ in attempts)
    with database.reading() as session:
        assert counters.verify(session) == []
        assert session.scalar(select(func.count(Image.id))) == 4 * len(finished)


def test_the_log_stays_one_chain(database: Database, database_url: str, race: Race) -> None:
    race(racers.write_log, database_url, 15)
    with database.reading() as session:
        assert moderation.verify_chain(session) == []
        assert len(moderation.entries(session, 5, limit=1_000)) == RACERS * 15
