"""Several jobs of one command: proposed, confirmed once, counted as one entry, cancelled as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage import batches, drafts, jobs, members, moderation, states
from storage.batches import Confirmation, Tally
from storage.contract import JobState
from storage.database import Database
from storage.errors import AlreadyFinished, Banned, BatchClosed, BatchesFull, NoSuchBatch, Paused, QueueFull
from storage.tables import Batch, Delivery, Job
from tests.storage import asking

MOST = 40
TYPED = "a {red, blue, green} castle"
TEXTS = ("a red castle", "a blue castle", "a green castle")


def propose(database: Database, member_id: int = 1, texts: Sequence[str] = TEXTS, **changes: Any) -> int:
    draft = asking.draft(member_id, **{"interaction_token": "question", **changes})
    planned = [{"text": one, "request": draft.request.model_dump(mode="json")} for one in texts]
    with database.writing() as session:
        return batches.propose(session, draft, TYPED, planned, most=MOST).id


def confirm(database: Database, batch_id: int, member_id: int = 1, **changes: Any) -> Confirmation:
    facts = {"interaction_token": "answer", "interaction_id": 88, **changes}

    def draft(stored: dict[str, Any]) -> drafts.JobDraft:
        return asking.draft(member_id, text=stored["text"], **facts)

    with database.writing() as session:
        return batches.confirm(session, batch_id, draft, most=MOST)


def make(database: Database, member_id: int = 1, size: int = 3, **changes: Any) -> int:
    texts = [f"castle {number}" for number in range(size)]
    batch_id = propose(database, member_id, texts, **changes)
    confirm(database, batch_id, member_id, **changes)
    return batch_id


def get(database: Database, batch_id: int) -> Batch:
    with database.reading() as session:
        return batches.get(session, batch_id)


def tally(database: Database, batch_id: int) -> Tally:
    with database.reading() as session:
        return batches.tally(session, batch_id)


def rows(database: Database, table: type[Job | Batch | Delivery]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def move_back(database: Database, batch_id: int, milliseconds: int) -> None:
    """Let the batch be so much older."""
    with database.writing() as session:
        changes = {
            "expires_at": Batch.expires_at - milliseconds,
            "confirmed_at": Batch.confirmed_at - milliseconds,
        }
        session.execute(update(Batch).where(Batch.id == batch_id).values(**changes))


def test_what_is_proposed_has_no_jobs_yet(database: Database) -> None:
    batch = get(database, propose(database, guild_id=7))
    assert (batch.state, batch.size, batch.text, batch.guild_id) == ("proposed", 3, TYPED, 7)
    assert [each["text"] for each in batch.planned] == list(TEXTS)
    assert batch.expires_at - batch.created_at == 15 * 60_000
    assert rows(database, Job) == 0
    assert asking.counters(database) == (0, 0)


def test_one_interaction_proposes_once(database: Database) -> None:
    assert propose(database, interaction_id=5) == propose(database, interaction_id=5)
    assert rows(database, Batch) == 1


def test_confirmed_its_jobs_wait_in_order(database: Database) -> None:
    batch_id = propose(database)
    confirmation = confirm(database, batch_id, interaction_token="answer", token_expires_at=9)
    assert (confirmation.fresh, confirmation.question_token) == (True, "question")
    batch = get(database, batch_id)
    assert (batch.state, batch.planned, batch.interaction_token) == ("confirmed", [], "answer")
    assert batch.token_expires_at == 9
    with database.reading() as session:
        made = batches.jobs_of(session, batch_id)
    assert [job.text for job in made] == list(TEXTS)
    assert {job.interaction_token for job in made} == {"answer"}
    assert asking.counters(database) == (0, 3)
    assert tally(database, batch_id) == Tally(queued=3)
    with database.reading() as session:
        assert batches.live(session) == [batch_id]


def test_the_same_press_twice_makes_one_batch(database: Database) -> None:
    batch_id = propose(database)
    assert confirm(database, batch_id).fresh
    again = confirm(database, batch_id, interaction_id=89)
    assert (again.fresh, again.question_token) == (False, None)
    assert rows(database, Job) == 3
    move_back(database, batch_id, 3_001)
    with pytest.raises(BatchClosed) as late:
        confirm(database, batch_id, interaction_id=90)
    assert late.value.state == "confirmed"
    assert rows(database, Job) == 3


def test_too_late_or_declined_it_makes_nothing(database: Database) -> None:
    late, declined = propose(database), propose(database)
    move_back(database, late, 15 * 60_000)
    with database.writing() as session:
        batches.decline(session, declined)
    with database.writing() as session:
        batches.decline(session, declined)
    for batch_id, state in ((late, "expired"), (declined, "declined")):
        with pytest.raises(BatchClosed) as refusal:
            confirm(database, batch_id)
        assert refusal.value.state == state
    assert rows(database, Job) == 0
    made = make(database)
    with pytest.raises(BatchClosed), database.writing() as session:
        batches.decline(session, made)
    with pytest.raises(NoSuchBatch):
        confirm(database, 10_000)


def test_what_is_not_answered_is_forgotten(database: Database) -> None:
    late, open_, made = propose(database), propose(database), make(database)
    for batch_id in (late, made):
        move_back(database, batch_id, 15 * 60_000)
    with database.writing() as session:
        assert batches.overdue(session) == [late]
        for batch_id in (late, made):
            batches.expire(session, batch_id)
        assert batches.overdue(session) == []
    batch = get(database, late)
    assert (batch.state, batch.planned, batch.interaction_token) == ("expired", [], None)
    assert get(database, open_).state == "proposed"
    assert get(database, made).state == "confirmed"


def test_a_batch_is_one_entry_in_the_queue(database: Database) -> None:
    make(database, size=40)
    for _ in range(9):
        asking.submit(database)
    assert asking.counters(database) == (0, 49)
    for ask in (asking.submit, propose):
        with pytest.raises(QueueFull) as refusal:
            ask(database)
        assert refusal.value.limit == 10
    asking.submit(database, 2)


def test_the_limit_holds_when_it_is_confirmed(database: Database) -> None:
    batch_id = propose(database)
    for _ in range(10):
        asking.submit(database)
    with pytest.raises(QueueFull):
        confirm(database, batch_id)
    assert get(database, batch_id).state == "proposed", "it can be confirmed when there is room"
    worker_id = asking.worker(database)
    asking.finish(database, asking.must_claim(database, worker_id))
    assert confirm(database, batch_id).fresh


@pytest.mark.parametrize(("keep", "refusal"), [("ban", Banned), ("pause", Paused)])
def test_a_ban_or_pause_keeps_it_from_being_proposed_or_confirmed(
    database: Database, keep: str, refusal: type[Exception]
) -> None:
    batch_id = propose(database, guild_id=7)
    with database.writing() as session:
        if keep == "ban":
            moderation.ban(session, member_id=1, guild_id=7, by=2, reason="", expires_at=None)
        else:
            moderation.pause(session, 7, by=2)
    with pytest.raises(refusal):
        propose(database, guild_id=7)
    with pytest.raises(refusal):
        confirm(database, batch_id, guild_id=7)
    assert rows(database, Job) == 0


def test_forty_jobs_hold_up_nobody(database: Database) -> None:
    worker_id = asking.worker(database)
    batch_id = make(database, size=40)
    theirs = asking.submit(database, 2)
    with database.reading() as session:
        first = batches.jobs_of(session, batch_id)[0]
        assert jobs.ahead(session, theirs) == 1
    assert [asking.must_claim(database, worker_id).job_id for _ in range(2)] == [first.id, theirs]


def test_its_jobs_are_counted_by_their_ends(database: Database) -> None:
    worker_id = asking.worker(database)
    batch_id = make(database, size=6)
    ends = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.WITHHELD)
    for state in ends:
        claim = asking.must_claim(database, worker_id)
        with database.writing() as session:
            if state is JobState.CANCELLED:
                states.cancel(session, claim.job_id)
        asking.end(database, claim, state)
    asking.must_claim(database, worker_id)
    counted = tally(database, batch_id)
    assert counted == Tally(queued=1, running=1, succeeded=1, failed=1, cancelled=1, withheld=1)
    assert (counted.size, counted.ended, counted.finished) == (6, 4, False)


def test_cancelled_as_a_whole(database: Database) -> None:
    worker_id = asking.worker(database)
    batch_id, other = make(database, size=4), make(database, size=2)
    done = asking.must_claim(database, worker_id)
    asking.finish(database, done)
    running = asking.must_claim(database, worker_id)
    with database.writing() as session:
        stopped = batches.cancel(session, batch_id)
        assert len(stopped) == 3
        assert running.job_id in stopped
        asking.assert_sound(session)
    assert tally(database, batch_id) == Tally(running=1, cancelled=2, succeeded=1)
    assert asking.get(database, running.job_id).cancel_requested_at is not None
    assert get(database, batch_id).cancel_requested_at is not None
    assert tally(database, other) == Tally(queued=2)
    asking.end(database, running, JobState.CANCELLED)
    assert tally(database, batch_id).finished
    with pytest.raises(AlreadyFinished), database.writing() as session:
        batches.cancel(session, batch_id)
    with pytest.raises(NoSuchBatch), database.writing() as session:
        batches.cancel(session, 10_000)


def test_one_of_it_is_cancelled_like_any_job(database: Database) -> None:
    batch_id = make(database)
    with database.writing() as session:
        first = batches.jobs_of(session, batch_id)[0]
        assert states.cancel(session, first.id) is JobState.CANCELLED
    assert tally(database, batch_id) == Tally(queued=2, cancelled=1)
    assert get(database, batch_id).cancel_requested_at is None


def test_moderators_cancel_is_noted_once(database: Database) -> None:
    batch_id = make(database, guild_id=7)
    with database.writing() as session:
        batches.cancel(session, batch_id)
        moderation.audit_batch_cancelled(session, batches.get(session, batch_id), by=2)
    with database.reading() as session:
        (entry,) = moderation.entries(session, 7)
    assert (entry.action, entry.actor_id, entry.target_id) == ("cancel_batch", 2, 1)
    assert entry.detail == {"batch": batch_id, "size": 3}


def test_lists_show_a_batch_as_long_as_jobs_are_left(database: Database) -> None:
    worker_id = asking.worker(database)
    mine, theirs = make(database, guild_id=7), make(database, 2, guild_id=7)
    asking.submit(database)

    def listed(session: Session) -> list[list[int]]:
        found = (batches.of_member(session, 1), batches.of_guild(session, 7), batches.of_guild(session, 8))
        return [[batch.id for batch, _ in pairs] for pairs in found]

    with database.reading() as session:
        assert listed(session) == [[mine], [mine, theirs], []]
        assert batches.of_member(session, 1)[0][1] == Tally(queued=3)
    for _ in range(7):
        asking.finish(database, asking.must_claim(database, worker_id))
    with database.reading() as session:
        assert listed(session) == [[], [], []]
        assert members.totals(session, 1).jobs == 4


def test_the_last_word_wipes_the_token(database: Database) -> None:
    finished, died = make(database), make(database)
    with database.writing() as session:
        batches.set_progress_message(session, finished, 77)
        batches.finish(session, finished)
        batches.forget_token(session, died)
        batches.set_progress_message(session, died, 78)
    batch = get(database, finished)
    assert (batch.state, batch.interaction_token, batch.progress_message_id) == ("finished", None, 77)
    assert get(database, died).interaction_token is None
    with database.reading() as session:
        assert {job.interaction_token for job in batches.jobs_of(session, died)} == {None}
        assert batches.live(session) == [died]
    with database.writing() as session:
        batches.forget_message(session, died)
    assert get(database, died).progress_message_id is None


def test_the_jobs_of_ones_batches_are_bounded(database: Database) -> None:
    make(database, size=MOST - 3)
    open_ = propose(database)
    confirm(database, open_)
    with pytest.raises(BatchesFull) as refused:
        propose(database, texts=("one",))
    assert (refused.value.size, refused.value.waiting, refused.value.limit) == (1, MOST, MOST)
    asking.submit(database)
    asking.submit(database, 2)
    worker_id = asking.worker(database)
    for _ in range(3):
        asking.finish(database, asking.must_claim(database, worker_id))
    first, second = propose(database, texts=("one",)), propose(database, texts=("one",))
    confirm(database, first)
    with pytest.raises(BatchesFull):
        confirm(database, second)
    make(database, 2, size=MOST)
