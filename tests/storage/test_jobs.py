"""The life of a job, on both databases."""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from storage import attempts, counters, jobs, members, states, submissions
from storage.contract import Action, ErrorCode, GenerationRequest, JobState, Part, Phrase
from storage.database import Database
from storage.errors import AlreadyFinished, NoSuchImage, NoSuchJob, QueueFull, Stale
from storage.tables import Delivery, Image, Job, Member
from tests.storage import asking


@pytest.fixture
def worker_id(database: Database) -> int:
    return asking.worker(database)


def _deliveries(database: Database, job_id: int) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Delivery.once).where(Delivery.job_id == job_id)))


def test_a_job_waits_runs_and_succeeds(database: Database, worker_id: int) -> None:
    draft = asking.draft(7, guild_id=2**63 - 1, interaction_token="secret", locale="de")
    with database.writing() as session:
        submission = submissions.submit(session, draft)
    assert submission.fresh
    assert (submission.job.state, submission.job.sequence) == ("queued", 0)
    assert asking.counters(database, 7) == (0, 1)

    claim = asking.must_claim(database, worker_id)
    assert (claim.job_id, claim.attempt, claim.alone) == (submission.job.id, 1, False)
    assert claim.request == draft.request
    assert asking.counters(database, 7) == (1, 0)

    job = asking.finish(database, claim)
    assert (job.state, job.sequence, job.guild_id) == ("succeeded", 2, 2**63 - 1)
    assert job.created_at <= job.started_at <= job.finished_at  # type: ignore[operator]
    assert asking.counters(database, 7) == (0, 0)
    with database.reading() as session:
        assert [image.index for image in jobs.images_of(session, job.id)] == [0, 1, 2, 3]
        delivery = session.scalars(select(Delivery)).one()
        totals = members.totals(session, 7)
    assert (delivery.once, delivery.state, delivery.kind) == (f"result:{job.id}", "open", "result")
    assert (delivery.interaction_token, delivery.guild_id, delivery.locale) == ("secret", 2**63 - 1, "de")
    assert (totals.jobs, totals.images) == (1, 4)


def test_times_are_milliseconds_of_now(database: Database) -> None:
    job = asking.get(database, asking.submit(database))
    assert abs(job.created_at - time.time() * 1000) < 60_000


def test_all_pictures_withheld_is_another_end(database: Database, worker_id: int) -> None:
    for withheld, state in (([True, True], JobState.WITHHELD), ([True, False], JobState.SUCCEEDED)):
        asking.submit(database)
        claim = asking.must_claim(database, worker_id)
        images = [asking.picture(index, withheld=kept) for index, kept in enumerate(withheld)]
        with database.writing() as session:
            job = attempts.finish(session, claim.job_id, claim.attempt, images, {"steps": 20})
        assert (job.state, job.timings) == (state, {"steps": 20})


def test_the_queue_of_a_member_is_limited(database: Database, worker_id: int) -> None:
    for _ in range(13):
        if asking.counters_or_none(database) == (0, 10):
            for _ in range(3):
                asking.must_claim(database, worker_id)
        asking.submit(database)
    assert asking.counters(database) == (3, 10)
    with pytest.raises(QueueFull) as refusal:
        asking.submit(database)
    assert refusal.value.limit == 10
    assert asking.claim(database, worker_id) is None
    asking.submit(database, 2)
    assert asking.must_claim(database, worker_id).job_id == 14


def test_one_interaction_is_one_job(database: Database) -> None:
    first = asking.submit(database, interaction_id=77)
    with database.writing() as session:
        again = submissions.submit(session, asking.draft(interaction_id=77))
    assert (again.job.id, again.fresh) == (first, False)
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(asking.draft(interaction_id=77).row(at=0))


def test_the_same_press_is_one_job_for_three_seconds(database: Database) -> None:
    interactions = itertools.count(1)

    def press(came_in: int, button: str = "1:e1:r:5") -> int:
        known_as = next(interactions)
        return asking.submit(
            database, press=button, interaction_id=known_as, token_expires_at=900_000 + came_in
        )

    first = press(10_000)
    assert press(12_999) == first
    assert press(7_001) == first, "the one that came in before may be worked on later"
    assert press(10_001, "1:e1:r:6") != first
    assert press(13_000) != first


def test_ids_are_never_given_twice(database: Database) -> None:
    ids = [asking.submit(database) for _ in range(3)]
    with database.writing() as session:
        for job in session.scalars(select(Job)):
            session.delete(job)
        session.get_one(Member, 1).waiting = 0
    assert asking.submit(database) > max(ids)


def test_a_waiting_job_is_cancelled_at_once(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database)
    with database.writing() as session:
        assert states.cancel(session, job_id) is JobState.CANCELLED
    assert asking.counters(database) == (0, 0)
    assert _deliveries(database, job_id) == [f"result:{job_id}"]
    assert asking.claim(database, worker_id) is None
    with pytest.raises(AlreadyFinished), database.writing() as session:
        states.cancel(session, job_id)


def test_a_running_job_is_asked_to_stop(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database)
    claim = asking.must_claim(database, worker_id)
    for _ in range(2):
        with database.writing() as session:
            assert states.cancel(session, job_id) is JobState.RUNNING
    assert asking.counters(database) == (1, 0)
    with database.writing() as session:
        assert attempts.stopped(session, job_id, claim.attempt).state == JobState.CANCELLED
    assert asking.counters(database) == (0, 0)
    assert _deliveries(database, job_id) == [f"result:{job_id}"]


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled", "withheld"])
def test_a_finished_job_cannot_be_cancelled(database: Database, worker_id: int, end: str) -> None:
    job_id = asking.submit(database)
    asking.end(database, asking.must_claim(database, worker_id), JobState(end))
    before = asking.get(database, job_id)
    assert before.state == end
    with pytest.raises(AlreadyFinished) as refusal, database.writing() as session:
        states.cancel(session, job_id)
    assert refusal.value.state == end
    assert asking.get(database, job_id).sequence == before.sequence


def test_what_is_not_there_is_said(database: Database) -> None:
    for ask in (states.cancel, jobs.get, jobs.ahead):
        with pytest.raises(NoSuchJob), database.writing() as session:
            ask(session, 404)
    with pytest.raises(NoSuchImage), database.reading() as session:
        jobs.image(session, 404)


def test_a_job_asked_to_stop_does_not_wait_again(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database)
    claim = asking.must_claim(database, worker_id)
    with database.writing() as session:
        states.cancel(session, job_id)
    with database.writing() as session:
        attempts.requeue(session, job_id, claim.attempt)
    assert asking.get(database, job_id).state == JobState.CANCELLED
    assert asking.counters(database) == (0, 0)


def test_three_attempts_and_then_a_reason(
    database: Database, worker_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (0,))
    job_id = asking.submit(database)
    states, alone = [], []
    for _ in range(3):
        claim = asking.must_claim(database, worker_id)
        alone.append(claim.alone)
        with database.writing() as session:
            states.append(
                attempts.fail(session, job_id, claim.attempt, ErrorCode.CRASHED, "boom", retry=True)
            )
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert alone == [False, True, True]
    job = asking.get(database, job_id)
    assert (job.error_code, job.error_detail, job.attempts) == ("crashed", "boom", 3)
    assert _deliveries(database, job_id) == [f"result:{job_id}"]
    assert asking.counters(database) == (0, 0)


def test_what_no_other_attempt_would_mend_fails_at_once(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database)
    claim = asking.must_claim(database, worker_id)
    with database.writing() as session:
        state = attempts.fail(session, job_id, claim.attempt, ErrorCode.SOURCE_MISSING, "gone", retry=False)
    assert state is JobState.FAILED


def test_handing_back_does_not_count(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database)
    for attempt in range(1, 6):
        claim = asking.must_claim(database, worker_id)
        assert (claim.attempt, claim.alone) == (attempt, False)
        with database.writing() as session:
            attempts.requeue(session, job_id, claim.attempt)
    assert asking.counters(database) == (0, 1)
    job = asking.get(database, job_id)
    assert (job.state, job.attempts, job.handbacks, job.worker_id) == ("queued", 5, 5, None)


def test_a_success_forgets_earlier_failures(
    database: Database, worker_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (0,))
    job_id = asking.submit(database)
    claim = asking.must_claim(database, worker_id)
    with database.writing() as session:
        attempts.fail(session, job_id, claim.attempt, ErrorCode.OUT_OF_MEMORY, "8 GB", retry=True)
    job = asking.finish(database, asking.must_claim(database, worker_id))
    assert (job.state, job.error_code, job.error_detail) == ("succeeded", None, None)


def test_every_write_of_a_stale_attempt_is_refused(database: Database, worker_id: int) -> None:
    job_id = asking.submit(database)
    stale = asking.must_claim(database, worker_id)
    with database.writing() as session:
        attempts.requeue(session, job_id, stale.attempt)
    _assert_fenced(database, stale)
    fresh = asking.must_claim(database, worker_id)
    _assert_fenced(database, stale)
    asking.finish(database, fresh)
    _assert_fenced(database, stale)
    _assert_fenced(database, fresh)
    with database.reading() as session:
        assert session.scalar(select(func.count(Image.id))) == 4
        assert set(session.scalars(select(Image.attempt))) == {2}


def _assert_fenced(database: Database, claim: attempts.Claim) -> None:
    before = asking.get(database, claim.job_id)
    writes = (
        lambda session: attempts.finish(session, claim.job_id, claim.attempt, asking.pictures(), {}),
        lambda session: attempts.fail(
            session, claim.job_id, claim.attempt, ErrorCode.CRASHED, "x", retry=True
        ),
        lambda session: attempts.requeue(session, claim.job_id, claim.attempt),
        lambda session: attempts.stopped(session, claim.job_id, claim.attempt),
    )
    for write in writes:
        with pytest.raises(Stale), database.writing() as session:
            write(session)
    after = asking.get(database, claim.job_id)
    assert (after.state, after.sequence, after.worker_id) == (before.state, before.sequence, before.worker_id)
    with database.reading() as session:
        asking.assert_sound(session)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": None}, "width"),
        ({"parts": [{"phrases": [{"text": "a castle"}], "weight": -1}]}, "not above 0"),
    ],
)
def test_a_request_that_cannot_be_read_fails_and_holds_nobody_up(
    database: Database, worker_id: int, change: dict[str, Any], reason: str
) -> None:
    broken, fine = asking.submit(database), asking.submit(database)
    request = {**asking.get(database, broken).request, **change}
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == broken).values(request=request))
    assert asking.must_claim(database, worker_id).job_id == fine
    job = asking.get(database, broken)
    assert (job.state, job.error_code) == (JobState.FAILED, ErrorCode.CRASHED)
    assert reason in (job.error_detail or "")
    assert asking.counters(database) == (1, 0)


@pytest.mark.parametrize("weights", [(0.0,), (-1.0,), (1.0, -1.0), (0.1, 0.2, -0.3), (1.0, -3.0)])
def test_parts_that_weigh_nothing_together_are_no_request(weights: tuple[float, ...]) -> None:
    parts = tuple(Part(phrases=(Phrase(text="a castle"),), weight=weight) for weight in weights)
    with pytest.raises(ValueError, match=r"the weights of the parts sum to .*, not above 0"):
        GenerationRequest(prompt="a castle", parts=parts, width=64, height=64, seed=1)


def test_a_newer_request_waits_for_a_newer_worker(database: Database, worker_id: int) -> None:
    newer = asking.submit(database)
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == newer).values(request_version=2))
    assert asking.claim(database, worker_id) is None
    assert asking.get(database, newer).state == JobState.QUEUED


def test_the_request_is_written_so_that_it_reads_back(database: Database) -> None:
    news = {"prompt": "Ein „rotes“ Schloß 🏰", "stylize": 1000}
    request = asking.draft(seed=2**32 - 1).request.model_copy(update=news)
    job = asking.get(database, asking.submit(database, request=request))
    assert GenerationRequest.model_validate(job.request) == request
    assert (job.model, job.request_version) == ("picturebook", 1)


def test_children_point_to_their_parents(database: Database) -> None:
    parent = asking.made(database)
    with database.reading() as session:
        image = jobs.images_of(session, parent)[1]
    of = {"parent_job_id": parent, "parent_image_id": image.id, "parent_index": 1}
    job = asking.get(database, asking.submit(database, 2, action=Action.VARY, **of))
    assert (job.action, job.parent_job_id, job.parent_image_id) == ("vary", parent, image.id)
    assert job.member_id == 2
    with pytest.raises(IntegrityError):
        asking.submit(database, parent_image_id=4040)


def test_verify_finds_and_mends_wrong_counters(database: Database, worker_id: int) -> None:
    for _ in range(2):
        asking.submit(database)
    asking.must_claim(database, worker_id)
    asking.submit(database, 2)
    with database.writing() as session:
        session.execute(update(Member).where(Member.id == 1).values(running=3, waiting=0))
    with database.writing() as session:
        assert counters.verify(session) == [
            "Member 1 counts 3 running and 0 waiting jobs, but has 1 and 1.",
        ]
        assert len(counters.verify(session, repair=True)) == 1
        assert counters.verify(session) == []
    assert asking.counters(database) == (1, 1)


def test_tokens_are_wiped_and_never_shown(database: Database) -> None:
    assert "secret" not in repr(asking.draft(interaction_token="secret"))
    job_id = asking.submit(database, interaction_token="secret")
    with database.writing() as session:
        states.cancel(session, job_id)
        jobs.set_progress_message(session, job_id, 5)
        jobs.forget_token(session, job_id)
    with database.reading() as session:
        assert session.scalars(select(Delivery.interaction_token)).one() is None
    job = asking.get(database, job_id)
    assert (job.interaction_token, job.progress_message_id) == (None, 5)
    assert not re.search("secret", repr(vars(job)))


def test_unfinished_are_those_that_wait_or_run(database: Database, worker_id: int) -> None:
    done = asking.made(database)
    running, waiting = asking.submit(database), asking.submit(database)
    asking.must_claim(database, worker_id)
    with database.reading() as session:
        assert [job.id for job in jobs.unfinished(session)] == [running, waiting]
    assert done not in (running, waiting)
