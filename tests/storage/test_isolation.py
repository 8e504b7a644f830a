"""Jobs that were lost together: each runs once more in a worker of its own, and only then is blamed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies
from hypothesis.strategies import DataObject
from sqlalchemy import select, text, update

from storage import attempts, counters, isolation
from storage.attempts import Blame, Claim
from storage.contract import ErrorCode, JobState
from storage.database import Database
from storage.tables import RUNNING, Job, WorkerRow
from storage.workers import Reaper
from tests.storage import asking

# Without shrinking: a fleet that fails takes minutes to be made smaller.
QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.reuse, Phase.generate])
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.fixture(autouse=True)
def unpaused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (0,))
    monkeypatch.setattr(attempts, "PAUSE_OF_NOBODY_MS", 0)


def _kill(database: Database, *worker_ids: int) -> None:
    """The workers die, and a reaper has found it out."""
    with database.writing() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id.in_(worker_ids)).values(stopped_at=1))
    with database.writing() as session:
        Reaper().sweep(session)


def _lost_together(database: Database, members: Iterable[int]) -> list[int]:
    worker_id = asking.worker(database)
    ids = [asking.submit(database, member_id) for member_id in members]
    for _ in ids:
        asking.must_claim(database, worker_id)
    _kill(database, worker_id)
    return ids


def test_who_is_lost_with_others_is_suspected_and_not_blamed(database: Database) -> None:
    for job_id in _lost_together(database, (1, 2, 3)):
        job = asking.get(database, job_id)
        assert (job.state, job.attempts, job.handbacks, job.suspect) == (JobState.QUEUED, 1, 1, True)


def test_a_suspect_has_a_worker_for_itself(database: Database) -> None:
    first, second = _lost_together(database, (1, 2))
    asking.submit(database, 3)
    here, there = asking.worker(database), asking.worker(database)
    claims = [asking.must_claim(database, here), asking.must_claim(database, there)]
    assert [claim.job_id for claim in claims] == [first, second]
    assert all(claim.alone for claim in claims)
    assert asking.claim(database, here) is None
    assert asking.claim(database, there) is None
    asking.finish(database, claims[0])
    assert asking.claim(database, here) is not None


def test_a_busy_worker_drains_when_a_suspects_turn_comes(database: Database) -> None:
    busy = asking.worker(database)
    asking.submit(database, 9)
    running = asking.must_claim(database, busy)
    (suspect,) = _lost_together(database, (1,))
    later = asking.submit(database, 2)
    assert asking.claim(database, busy) is None, "it drains, though another job could run"
    asking.finish(database, running)
    assert asking.must_claim(database, busy).job_id == suspect
    assert asking.claim(database, busy) is None
    assert asking.must_claim(database, asking.worker(database)).job_id == later


def test_a_suspects_turn_is_that_of_any_job(database: Database) -> None:
    """Whose turn comes before is served first: beside others, as ever."""
    busy = asking.worker(database)
    before = [asking.submit(database, member_id) for member_id in (7, 8)]
    suspect = asking.submit(database, 1)
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == suspect).values(suspect=True))
    assert [asking.must_claim(database, busy).job_id for _ in before] == before
    assert asking.claim(database, busy) is None


def test_one_worker_drains_and_the_others_go_on(database: Database) -> None:
    workers = [asking.worker(database) for _ in range(3)]
    for member_id, worker_id in enumerate(workers, 11):
        asking.submit(database, member_id)
        asking.must_claim(database, worker_id)
    _lost_together(database, (1,))
    rest = {asking.submit(database, member_id) for member_id in (2, 3, 4)}
    for _ in range(2):
        assert asking.claim(database, workers[1]) is None
        claims = [asking.claim(database, worker_id) for worker_id in (workers[0], workers[2])]
        rest -= {claim.job_id for claim in claims if claim is not None}
    assert rest == set()


def test_a_worker_that_drained_and_is_gone_holds_up_nobody(database: Database) -> None:
    gone, busy = asking.worker(database), asking.worker(database)
    for member_id, worker_id in ((11, gone), (12, busy)):
        asking.submit(database, member_id)
        asking.must_claim(database, worker_id)
    _lost_together(database, (1,))
    asking.submit(database, 2)
    assert asking.claim(database, gone) is None
    with database.writing() as session:
        stale = WorkerRow.draining_at - isolation.DRAIN_MS
        session.execute(update(WorkerRow).where(WorkerRow.id == gone).values(draining_at=stale))
    assert asking.claim(database, busy) is None, "now it drains"


def test_of_two_that_began_to_drain_at_once_one_goes_on(database: Database) -> None:
    elder, younger = asking.worker(database), asking.worker(database)
    with database.writing() as session:
        assert isolation.drains(session, younger, "picturebook")
        at = session.get_one(WorkerRow, younger).draining_at
        session.execute(update(WorkerRow).where(WorkerRow.id == elder).values(draining_at=at))
        assert isolation.drains(session, elder, "picturebook")
        assert not isolation.drains(session, younger, "picturebook")


def test_who_drains_for_another_model_holds_up_no_suspect(database: Database) -> None:
    workers = {model: asking.worker(database, models=(model,)) for model in ("one", "other")}
    for member_id, (model, worker_id) in enumerate(workers.items(), 11):
        asking.submit(database, member_id, model=model)
        asking.must_claim(database, worker_id, (model,))
    for member_id, model in enumerate(workers, 1):
        asking.submit(database, member_id, model=model)
    with database.writing() as session:
        session.execute(update(Job).where(Job.member_id < 11).values(suspect=True))
    for member_id, model in enumerate(workers, 21):
        asking.submit(database, member_id, model=model)
    for model, worker_id in workers.items():
        assert asking.claim(database, worker_id, (model,)) is None, f"{model} drains for its own suspect"


def test_what_no_job_can_help_is_counted_on_none(database: Database) -> None:
    job_id, worker_id = asking.submit(database), asking.worker(database)
    for attempt in range(1, 3 * attempts.ATTEMPTS):
        assert asking.must_claim(database, worker_id).attempt == attempt
        with database.writing() as session:
            attempts.fail(session, job_id, attempt, ErrorCode.DISK_FULL, "", retry=True, blame=Blame.NOBODY)
    job = asking.get(database, job_id)
    assert (job.state, job.suspect) == (JobState.QUEUED, False)


class Fleet:
    """Workers that claim, finish and die at random; a poison job kills whatever worker runs it, some day."""

    SLOTS = 3

    def __init__(self, database: Database, data: DataObject, innocents: int, poison: int, size: int) -> None:
        self.database = database
        self._data = data
        self._workers: dict[int, list[Claim]] = {}
        jobs = data.draw(strategies.permutations([False] * innocents + [True] * poison), "poison")
        members = strategies.integers(1, 4)
        self.jobs = {asking.submit(database, data.draw(members)): poisonous for poisonous in jobs}
        self.kills = data.draw(strategies.integers(0, 2), "kills from outside")
        self.deaths = 0
        for _ in range(size):
            self._start()

    def _start(self) -> None:
        self._workers[asking.worker(self.database)] = []

    def step(self) -> None:
        worker_id = self._data.draw(strategies.sampled_from(sorted(self._workers)), "worker")
        held = self._workers[worker_id]
        moves = ["claim", "end", *(["kill"] if self.kills and held else [])]
        move = self._data.draw(strategies.sampled_from(moves), "move")
        if move == "claim" or not held:
            self.claim(worker_id)
        elif move == "kill":
            self.kills -= 1
            self._die(worker_id)
        else:
            self.end(worker_id, held[self._data.draw(strategies.integers(0, len(held) - 1), "job")])

    def claim(self, worker_id: int) -> None:
        held = self._workers[worker_id]
        claim = asking.claim(self.database, worker_id) if len(held) < self.SLOTS else None
        if claim is not None:
            held.append(claim)
            self._see_isolation()

    def end(self, worker_id: int, claim: Claim) -> None:
        if self.jobs[claim.job_id]:
            self._die(worker_id)
        else:
            asking.finish(self.database, claim)
            self._workers[worker_id].remove(claim)

    def _die(self, worker_id: int) -> None:
        self.deaths += 1
        del self._workers[worker_id]
        _kill(self.database, worker_id)
        self._start()

    def _see_isolation(self) -> None:
        with self.database.reading() as session:
            running = session.execute(select(Job.worker_id, Job.suspect).where(text(RUNNING))).all()
        for worker_id, suspect in running:
            assert not suspect or [each for each, _ in running].count(worker_id) == 1

    def run_out(self) -> None:
        """Every worker claims what it can, then ends what it has, until nothing is left."""
        for _ in range(100):
            for worker_id in sorted(self._workers):
                for _ in range(self.SLOTS):
                    self.claim(worker_id)
            if not any(self._workers.values()):
                return
            for worker_id, held in sorted(self._workers.items()):
                if held:
                    self.end(worker_id, held[0])
        raise AssertionError("somebody waits for ever")


def check_that_innocents_succeed(database: Database, data: DataObject) -> None:
    innocents, poison = data.draw(strategies.integers(1, 7)), data.draw(strategies.integers(0, 3))
    fleet = Fleet(database, data, innocents, poison, size=data.draw(strategies.integers(1, 3)))
    kills = fleet.kills
    for _ in range(data.draw(strategies.integers(0, 20), "steps")):
        fleet.step()
    fleet.run_out()
    with database.reading() as session:
        ended = {job.id: job for job in session.scalars(select(Job))}
        assert counters.verify(session) == []
    for job_id, poisonous in fleet.jobs.items():
        job = ended[job_id]
        assert job.state == (JobState.FAILED if poisonous else JobState.SUCCEEDED)
        assert not poisonous or job.error_code == ErrorCode.WORKER_LOST
    assert fleet.deaths <= poison * (1 + attempts.ATTEMPTS) + kills


@pytest.mark.timeout(300)
def test_every_innocent_succeeds_and_every_poison_job_fails(sqlite_template: Path) -> None:
    @settings(QUICK, max_examples=25)
    @given(strategies.data())
    def run(data: DataObject) -> None:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            database = Database(f"sqlite:///{shutil.copy(sqlite_template, Path(folder) / 'easel.db')}")
            check_that_innocents_succeed(database, data)
            database.close()

    run()


@pytest.mark.timeout(300)
def test_so_it_is_on_postgresql(migrated_postgres_url: str) -> None:
    database = Database(migrated_postgres_url)

    @settings(QUICK, max_examples=5)
    @given(strategies.data())
    def run(data: DataObject) -> None:
        with database.writing() as session:
            session.execute(text("TRUNCATE jobs, members, workers, deliveries RESTART IDENTITY CASCADE"))
        check_that_innocents_succeed(database, data)

    run()
    database.close()
