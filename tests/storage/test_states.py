"""Any order of what can happen to jobs keeps the counters true and the moves allowed."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from sqlalchemy import select

from storage import attempts, counters, moderation, states, workers
from storage.attempts import Claim
from storage.contract import ErrorCode, JobState
from storage.database import Database
from storage.errors import AlreadyFinished, Banned, Paused, QueueFull, Stale
from storage.tables import Delivery, Image, Job, Member
from storage.workers import Reaper
from tests.storage import asking

MEMBERS = strategies.integers(1, 3)
GUILDS = strategies.sampled_from([None, 50, 51])
LEASE_MS = 1
# Thousands of transactions: where there is a file system in memory, they need not wait for the disk.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Jobs(RuleBasedStateMachine):
    """Members ask and cancel, moderators ban and pause, workers work, die and come back too late."""

    template: ClassVar[Path]
    submitted = Bundle("submitted")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.database = Database(f"sqlite:///{shutil.copy(self.template, self.folder / 'easel.db')}")
        self.seconds = 0.0
        self.reaper = Reaper(LEASE_MS, lambda: self.seconds)
        self.worker_id = asking.worker(self.database, lease_ms=LEASE_MS)
        self.seen: dict[int, tuple[str, int]] = {}

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @rule(target=submitted, member_id=MEMBERS, guild_id=GUILDS)
    def submit(self, member_id: int, guild_id: int | None) -> Any:
        try:
            return asking.submit(self.database, member_id, guild_id=guild_id)
        except (QueueFull, Banned, Paused):
            return multiple()

    @rule(target=claims)
    def claim(self) -> Any:
        try:
            claim = asking.claim(self.database, self.worker_id)
        except Stale:
            self.worker_id = asking.worker(self.database, lease_ms=LEASE_MS)
            return multiple()
        return multiple() if claim is None else claim

    @rule(claim=claims, withheld=strategies.booleans())
    def finish(self, claim: Claim, withheld: bool) -> None:
        made = [asking.picture(index, withheld=withheld) for index in range(2)]
        self._try(lambda session: attempts.finish(session, claim.job_id, claim.attempt, made, {}))

    @rule(claim=claims, retry=strategies.booleans())
    def fail(self, claim: Claim, retry: bool) -> None:
        self._try(
            lambda session: attempts.fail(
                session, claim.job_id, claim.attempt, ErrorCode.CRASHED, "", retry=retry
            )
        )

    @rule(claim=claims)
    def requeue(self, claim: Claim) -> None:
        self._try(lambda session: attempts.requeue(session, claim.job_id, claim.attempt))

    @rule(claim=claims)
    def stopped(self, claim: Claim) -> None:
        self._try(lambda session: attempts.stopped(session, claim.job_id, claim.attempt))

    @rule(job_id=submitted)
    def cancel(self, job_id: int) -> None:
        self._try(lambda session: states.cancel(session, job_id))

    @rule(member_id=MEMBERS, guild_id=GUILDS, lift=strategies.booleans())
    def ban(self, member_id: int, guild_id: int | None, lift: bool) -> None:
        with self.database.writing() as session:
            if lift:
                moderation.unban(session, member_id=member_id, guild_id=guild_id, by=9)
            else:
                moderation.ban(
                    session, member_id=member_id, guild_id=guild_id, by=9, reason="", expires_at=None
                )

    @rule(guild_id=strategies.sampled_from([50, 51]), resume=strategies.booleans())
    def pause(self, guild_id: int, resume: bool) -> None:
        with self.database.writing() as session:
            (moderation.resume if resume else moderation.pause)(session, guild_id, 9)

    @rule()
    def stop(self) -> None:
        with self.database.writing() as session:
            workers.stop(session, self.worker_id)

    @rule()
    def lose(self) -> None:
        """The worker does not renew for a lease, and a reaper watches it."""
        for _ in range(12):
            self.seconds += LEASE_MS / 1000 / 3
            with self.database.writing() as session:
                self.reaper.sweep(session)

    def _try(self, change: Any) -> None:
        try:
            with self.database.writing() as session:
                change(session)
        except (Stale, AlreadyFinished):
            return

    @invariant()
    def counters_agree_with_rows(self) -> None:
        with self.database.reading() as session:
            assert counters.verify(session) == []
            over = select(Member.id).where((Member.running > Member.running_limit) | (Member.waiting > 10))
            assert session.scalars(over).all() == []

    @invariant()
    def finished_jobs_have_ended_once(self) -> None:
        with self.database.reading() as session:
            rows = session.scalars(select(Job)).all()
            told = Counter(session.scalars(select(Delivery.job_id)))
            made = Counter(session.scalars(select(Image.job_id)))
        for job in rows:
            state = JobState(job.state)
            assert told[job.id] == state.finished
            assert made[job.id] == 2 * (state in (JobState.SUCCEEDED, JobState.WITHHELD))
            assert (job.finished_at is not None) == state.finished
            assert (job.worker_id is not None) == (state is JobState.RUNNING)
            assert job.attempts - job.handbacks <= attempts.ATTEMPTS

    @invariant()
    def moves_are_counted_and_nothing_leaves_its_end(self) -> None:
        with self.database.reading() as session:
            now = {job.id: (job.state, job.sequence) for job in session.scalars(select(Job))}
        for job_id, (state, sequence) in self.seen.items():
            if JobState(state).finished:
                assert now[job_id] == (state, sequence)
            assert now[job_id][1] >= sequence
            if now[job_id][1] == sequence:
                assert now[job_id][0] == state
        self.seen = now


@pytest.mark.timeout(600)
def test_any_order_of_events_keeps_the_books(sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (0,))

    class TestedJobs(Jobs):
        template = sqlite_template

    TestedJobs.TestCase.settings = settings(
        max_examples=settings().max_examples // 10,
        stateful_step_count=25,
        suppress_health_check=list(HealthCheck),
    )
    TestedJobs.TestCase("runTest").runTest()
