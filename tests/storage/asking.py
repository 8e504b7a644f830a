"""Short ways to ask for jobs and to do them, for the tests of storage."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from sqlalchemy.orm import Session

from storage import attempts, jobs, submissions, workers
from storage.attempts import Claim
from storage.contract import Action, ErrorCode, GenerationRequest, JobState
from storage.counters import verify
from storage.database import Database
from storage.drafts import ImageDraft, JobDraft
from storage.tables import Address, Job, Member

MODELS = ("picturebook",)
ADDRESS = {field.name for field in fields(Address)}


def draft(member_id: int = 1, *, model: str = "picturebook", seed: int = 1, **changes: Any) -> JobDraft:
    request = GenerationRequest(model=model, prompt="a red castle", width=128, height=128, seed=seed)
    where = {"channel_id": 900, **{name: changes.pop(name) for name in ADDRESS & changes.keys()}}
    facts: dict[str, Any] = {
        "member_name": f"member {member_id}",
        "action": Action.IMAGINE,
        "text": "a red castle --ar 1:1",
        "words": "a red castle",
        "request": request,
    }
    return JobDraft(Address(member_id, **where), **{**facts, **changes})


def submit(database: Database, member_id: int = 1, **changes: Any) -> int:
    with database.writing() as session:
        return submissions.submit(session, draft(member_id, **changes)).job.id


def submit_many(database: Database, member_id: int, count: int, **changes: Any) -> list[int]:
    """More jobs than a member may ask for; all but the first are written as plain rows."""
    with database.writing() as session:
        first = submissions.submit(session, draft(member_id, **changes)).job
        rest = [draft(member_id, **changes).row(first.created_at) for _ in range(count - 1)]
        session.add_all(rest)
        session.get_one(Member, member_id).waiting += len(rest)
        session.flush()
        return [job.id for job in (first, *rest)]


def worker(
    database: Database, name: str = "worker", lease_ms: int = 15_000, models: Collection[str] = MODELS
) -> int:
    with database.writing() as session:
        return workers.register(session, name, models, lease_ms)


def claim(
    database: Database, worker_id: int, models: Collection[str] = MODELS, loaded: Collection[str] = ()
) -> Claim | None:
    with database.writing() as session:
        return attempts.claim(session, worker_id, models, loaded)


def must_claim(database: Database, worker_id: int, models: Collection[str] = MODELS) -> Claim:
    claimed = claim(database, worker_id, models)
    assert claimed is not None
    return claimed


def picture(index: int = 0, *, withheld: bool = False) -> ImageDraft:
    return ImageDraft(
        index=index,
        seed=1 + index,
        width=128,
        height=128,
        key=f"000000/1/1-{index}.png",
        sha256="0" * 64,
        size=1000,
        safety_scores={"skull": 0.9 if withheld else 0.1},
        withheld=withheld,
    )


def pictures(count: int = 4) -> list[ImageDraft]:
    return [picture(index) for index in range(count)]


def finish(database: Database, claimed: Claim) -> Job:
    with database.writing() as session:
        return attempts.finish(session, claimed.job_id, claimed.attempt, pictures(), {})


def made(database: Database, member_id: int = 1, **changes: Any) -> int:
    """A job of this member's that has its four pictures."""
    job_id = submit(database, member_id, **changes)
    claimed = must_claim(database, worker(database))
    assert claimed.job_id == job_id
    finish(database, claimed)
    return job_id


def get(database: Database, job_id: int) -> Job:
    with database.reading() as session:
        return jobs.get(session, job_id)


def counters(database: Database, member_id: int = 1) -> tuple[int, int]:
    """(running, waiting) as the member's row says."""
    with database.reading() as session:
        member = session.get_one(Member, member_id)
        return member.running, member.waiting


def assert_sound(session: Session) -> None:
    assert verify(session) == []


def counters_or_none(database: Database, member_id: int = 1) -> tuple[int, int] | None:
    with database.reading() as session:
        member = session.get(Member, member_id)
        return None if member is None else (member.running, member.waiting)


def end(database: Database, claimed: Claim, state: JobState) -> None:
    """Let the attempt end this way."""
    with database.writing() as session:
        if state is JobState.FAILED:
            attempts.fail(session, claimed.job_id, claimed.attempt, ErrorCode.CRASHED, "", retry=False)
        elif state is JobState.CANCELLED:
            attempts.stopped(session, claimed.job_id, claimed.attempt)
        else:
            made = [picture(withheld=state is JobState.WITHHELD)]
            attempts.finish(session, claimed.job_id, claimed.attempt, made, {})
