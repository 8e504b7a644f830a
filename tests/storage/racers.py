"""What racing processes do: each function runs in a process of its own and reports what it saw."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

from sqlalchemy import func, select, text

from storage import attempts, deliveries, jobs, moderation, states, submissions
from storage import database as database_module
from storage.attempts import Claim
from storage.database import Database
from storage.errors import Refused, Stale
from storage.tables import RUNNING, Job, Member
from tests.storage import asking

T = TypeVar("T")

START_S = 90
"""For processes to begin on a busy machine."""
IDLE_MS = 60_000
"""For transactions of tests on a busy machine."""


class Race:
    """Processes that start together. They are made once: to load the libraries takes them a second."""

    def __init__(self, count: int) -> None:
        self.count = count
        context = multiprocessing.get_context("spawn")
        line = context.Barrier(count)
        self._processes = ProcessPoolExecutor(count, context, initializer=_line_up, initargs=(line,))

    def __call__(self, run: Callable[..., T], *arguments: Any) -> list[T]:
        """Run `run(0, …)`, `run(1, …)`, … each in a process of its own."""
        running = [self._processes.submit(_start, run, racer, *arguments) for racer in range(self.count)]
        return [future.result() for future in running]

    def close(self) -> None:
        self._processes.shutdown()


_starting_line: Barrier | None = None


def _line_up(line: Barrier) -> None:
    global _starting_line
    _starting_line = line
    database_module.POSTGRES_IDLE_MS = IDLE_MS


def _start(run: Callable[..., T], racer: int, *arguments: Any) -> T:
    """Run, once every racer is there."""
    assert _starting_line is not None
    _starting_line.wait(START_S)
    return run(racer, *arguments)


@dataclass
class Seen:
    """What one racer did: jobs it claimed, and the limits it saw broken."""

    claims: list[tuple[int, int, int]] = field(default_factory=list)
    """(job, member, the turn number it got)."""
    over_limit: list[Any] = field(default_factory=list)


def claim_all(racer: int, url: str, hold: int, total: int) -> Seen:
    """Claim and finish jobs, holding up to `hold` at a time, until all `total` are done."""
    database = Database(url)
    worker_id = asking.worker(database, f"racer {racer}", lease_ms=600_000)
    chance = random.Random(racer)
    seen = Seen()
    held: list[Claim] = []
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        claimed = _claim(database, worker_id, seen)
        if claimed is not None:
            held.append(claimed)
            # The others' turn: on a busy machine one process could claim all before they have begun.
            time.sleep(0.005)
            _watch_limits(database, seen)
        if held and (claimed is None or len(held) >= hold):
            asking.finish(database, held.pop(chance.randrange(len(held))))
        elif claimed is None and _all_done(database, total):
            break
    database.close()
    return seen


def _claim(database: Database, worker_id: int, seen: Seen) -> Claim | None:
    with database.writing() as session:
        claimed = attempts.claim(session, worker_id, asking.MODELS)
        if claimed is not None:
            job = jobs.get(session, claimed.job_id)
            seen.claims.append((job.id, job.member_id, session.get_one(Member, job.member_id).served))
    return claimed


def _watch_limits(database: Database, seen: Seen) -> None:
    running = select(Job.member_id, func.count()).where(text(RUNNING)).group_by(Job.member_id)
    with database.reading() as session:
        limits = dict(session.execute(select(Member.id, Member.running_limit)).all())
        seen.over_limit += [
            (member, count) for member, count in session.execute(running) if count > limits[member]
        ]


def _all_done(database: Database, total: int) -> bool:
    with database.reading() as session:
        return session.scalar(select(func.count()).where(Job.finished_at.is_not(None))) == total


def submit_press(racer: int, url: str, press: str, presses: int) -> list[tuple[int, bool]]:
    """Press a button again and again: (job, whether it is a new one)."""
    database = Database(url)
    seen = []
    for index in range(presses):
        draft = asking.draft(press=press, interaction_id=1_000 * racer + index + 1, token_expires_at=900_000)
        with database.writing() as session:
            submission = submissions.submit(session, draft)
            seen.append((submission.job.id, submission.fresh))
    database.close()
    return seen


def submit_and_cancel(racer: int, url: str, rounds: int) -> int:
    """Ask for jobs of one member and cancel every second one; how many were refused."""
    database = Database(url)
    refused = 0
    for index in range(rounds):
        try:
            job_id = asking.submit(database)
            if index % 2:
                with database.writing() as session:
                    states.cancel(session, job_id)
        except Refused:
            refused += 1
    database.close()
    return refused


def add_one(_racer: int, url: str, rounds: int) -> None:
    """Read a number, then write it back one higher."""
    database = Database(url)
    for _ in range(rounds):
        with database.writing() as session:
            member = session.get_one(Member, 1, with_for_update=True)
            member.waiting_limit += 1
    database.close()


def take_deliveries(racer: int, url: str) -> list[int]:
    """What one of several bots delivers."""
    database = Database(url)
    delivered = []
    while True:
        with database.writing() as session:
            taken = deliveries.take(session, 3, hold_ms=60_000)
        if not taken:
            break
        for delivery in taken:
            with database.writing() as session:
                deliveries.attempt(session, delivery.id, tries=delivery.tries)
            delivered.append(delivery.id)
            with database.writing() as session:
                deliveries.done(session, delivery.id)
    database.close()
    return delivered


def finish_or_reap(racer: int, url: str, claims: Sequence[tuple[int, int]]) -> list[int]:
    """A worker (racer 0) finishes its jobs while the others take them back; what each got done."""
    database = Database(url)
    done = []
    for job_id, attempt in claims:
        try:
            if racer == 0:
                with database.writing() as session:
                    attempts.finish(session, job_id, attempt, asking.pictures(), {})
            else:
                with database.writing() as session:
                    attempts.requeue(session, job_id, attempt)
        except Stale:
            continue
        done.append(job_id)
    database.close()
    return done


def write_log(racer: int, url: str, rounds: int) -> None:
    database = Database(url)
    for index in range(rounds):
        with database.writing() as session:
            moderation.audit(session, guild_id=5, actor_id=racer, action="cancel", job_id=index)
    database.close()
