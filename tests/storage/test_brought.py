"""Pictures that jobs start from: kept while somebody counts on them, and no longer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import event, select, text, update

from storage import batches, brought, privacy
from storage.backends import Backends
from storage.config import Config
from storage.contract import Control, GenerationRequest, Reference, Role, Task
from storage.database import Database
from storage.images import ImageStore, key_for, movie_key_for
from storage.sweep import AGE_S, Sweep
from storage.tables import Bringing, Filling, Image, Job, JobImage
from tests.storage import asking

ADA, BOB = 1, 2
ALONE, SHARED, MASK, ASKED, REFUSED = (
    f"{folder}/{name * 64}.png"
    for folder, name in (
        ("incoming", "a"),
        ("incoming", "b"),
        ("inputs", "c"),
        ("incoming", "d"),
        ("incoming", "e"),
    )
)


@pytest.fixture
def backends(database_url: str, tmp_path: Path) -> Iterator[Backends]:
    opened = Backends.open(
        Config(database_url=database_url, images_url=f"file://{tmp_path / 'pictures'}", data_dir=tmp_path)
    )
    yield opened
    opened.close()


def _request(**keys: Any) -> GenerationRequest:
    return asking.draft().request.model_copy(update=keys)


def _bring(backends: Backends, member_id: int, key: str) -> int:
    """As a command does it."""
    with backends.database.writing() as session:
        row = brought.bring(session, member_id, key)
    backends.images.save(key, b"picture")
    return row


def _there(backends: Backends, *keys: str) -> list[bool]:
    return [backends.images.exists(key) for key in keys]


def _age(backends: Backends, days: float = 2) -> None:
    """All that is there was written so long ago, and so were its rows."""
    earlier = time.time() - days * 86_400
    for path in backends.images.folder.rglob("*.*"):
        if path.is_file():
            os.utime(path, (earlier, earlier))
    with backends.database.writing() as session:
        for column in (Bringing.created_at, Job.created_at):
            change = update(column.class_).values({column.key: column - int(days * 86_400_000)})
            session.execute(change, execution_options={"synchronize_session": False})


def _unfilled(database: Database) -> None:
    """As the migration leaves a database with jobs."""
    with database.writing() as session:
        session.execute(text("DELETE FROM job_pictures"))
        last = session.scalars(select(Job.id).order_by(Job.id.desc())).first()
        session.add(Filling(name="job_pictures", after=0, until=last))


def _uses(database: Database) -> set[tuple[int, str]]:
    with database.reading() as session:
        return {(use.job_id, use.key) for use in session.scalars(select(JobImage))}


def _key_fields(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if "key" in name:
            yield name
        for inner in (Reference, Control):
            if inner.__name__ in str(field.annotation) and inner is not model:
                yield from (f"{name}.{below}" for below in _key_fields(inner))


def test_every_field_that_holds_keys_is_read() -> None:
    filled = {
        "source_key": ALONE, "source_keys": (SHARED,), "mask_key": MASK,
        "references.keys": ASKED, "control.key": REFUSED,
    }  # fmt: skip
    assert set(_key_fields(GenerationRequest)) == filled.keys()
    request = GenerationRequest(
        task=Task.INPAINTING, prompt="a castle", width=64, height=64, seed=1,
        source_key=ALONE, source_keys=(SHARED,), mask_key=MASK,
        references=(Reference(role=Role.STYLE, keys=(ASKED,), links=("incoming/f.png",)),),
        control=Control(kind="edges", key=REFUSED),
    )  # fmt: skip
    assert brought.named(request.model_dump(mode="json")) == {ALONE, SHARED, MASK, ASKED, REFUSED}


def test_a_prompt_names_nothing() -> None:
    """Else a member could keep another's picture by its name."""
    request = _request(prompt=ALONE, negative_prompt=SHARED, source_key="000000/1/1-0.png")
    assert brought.named(request.model_dump(mode="json")) == set()


def test_a_job_says_what_it_uses(database: Database) -> None:
    first = asking.submit(database, ADA, request=_request(source_keys=(ALONE, SHARED)))
    with database.writing() as session:
        planned = {"request": _request(source_key=ASKED).model_dump(mode="json")}
        batch = batches.propose(session, asking.draft(BOB), "{a, b}", [planned], most=80)
    with database.writing() as session:
        batches.confirm(
            session, batch.id, lambda _: asking.draft(BOB, request=_request(source_key=ASKED)), most=80
        )
    assert _uses(database) == {(first, ALONE), (first, SHARED), (first + 1, ASKED)}


def test_sent_pictures_go_unless_another_needs_them(backends: Backends) -> None:
    for member_id, key in (
        (ADA, ALONE),
        (ADA, SHARED),
        (BOB, SHARED),
        (ADA, MASK),
        (ADA, ASKED),
        (ADA, REFUSED),
    ):
        _bring(backends, member_id, key)
    asking.submit(backends.database, ADA, request=_request(source_key=ALONE, mask_key=MASK))
    asking.submit(backends.database, ADA, request=_request(source_key=SHARED))
    with backends.database.writing() as session:
        planned = {"request": _request(source_key=ASKED).model_dump(mode="json")}
        batches.propose(session, asking.draft(ADA), "{a, b}", [planned], most=80)
    privacy.erase(backends, ADA)
    assert _there(backends, ALONE, MASK, ASKED, REFUSED, SHARED) == [False] * 4 + [True]
    privacy.erase(backends, BOB)
    assert _there(backends, SHARED) == [False]


def test_a_picture_that_another_only_draws_from_stays(backends: Backends) -> None:
    _bring(backends, ADA, SHARED)
    asking.submit(backends.database, ADA, request=_request(source_key=SHARED))
    asking.submit(backends.database, BOB, request=_request(source_key=SHARED))
    privacy.erase(backends, ADA)
    assert _there(backends, SHARED) == [True]
    privacy.erase(backends, BOB)
    assert _there(backends, SHARED) == [False]


@pytest.mark.parametrize("step", [1, 2, 100])
def test_older_jobs_are_looked_through(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(brought, "FILLED_AT_ONCE", step)
    database = backends.database
    for member_id, keys in (
        (ADA, (ALONE, SHARED)),
        (BOB, ()),
        (BOB, (SHARED,)),
        (ADA, (SHARED,)),
        (BOB, (MASK,)),
    ):
        asking.submit(database, member_id, request=_request(source_keys=keys))
    known = _uses(database)
    _unfilled(database)
    while brought.fill_some(database):
        with database.reading() as session:
            assert _uses(database) <= known
            assert brought.is_filled(session) == (_uses(database) == known)
    assert _uses(database) == known


def test_a_deletion_is_right_before_older_jobs_are_looked_through(backends: Backends) -> None:
    database = backends.database
    for key in (ALONE, SHARED):
        backends.images.save(key, b"picture")
    asking.submit(database, ADA, request=_request(source_keys=(ALONE, SHARED)))
    asking.submit(database, BOB, request=_request(source_key=SHARED))
    _unfilled(database)
    privacy.erase(backends, ADA)
    assert _there(backends, ALONE, SHARED) == [False, True]
    with database.reading() as session:
        assert brought.is_filled(session)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("before", range(1, 6))
def test_a_filling_that_ends_while_a_picture_is_judged_keeps_it(backends: Backends, before: int) -> None:
    """Whatever statement of the judgement the end of the filling comes before; SQLite has one writer."""
    backends.images.save(SHARED, b"picture")
    asking.submit(backends.database, BOB, request=_request(source_key=SHARED))
    _unfilled(backends.database)
    url = backends.config.database_url
    assert url is not None
    other, left = Database(url.get_secret_value()), before

    def fill_in_between(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            brought.fill(other)

    with backends.database.writing() as session:
        engine = session.connection().engine
    event.listen(engine, "before_cursor_execute", fill_in_between)
    assert not brought.forget(backends, SHARED)
    other.close()
    assert _there(backends, SHARED) == [True]


def test_nothing_is_swept_before_older_jobs_are_looked_through(backends: Backends) -> None:
    backends.images.save(SHARED, b"picture")
    asking.submit(backends.database, BOB, request=_request(source_key=SHARED))
    _unfilled(backends.database)
    _age(backends)
    Sweep(backends).round()
    assert _there(backends, SHARED) == [True]


def test_what_came_to_nothing_is_let_go(backends: Backends) -> None:
    """But not what somebody else, or another command of the same member's, counts on."""
    rows = [_bring(backends, ADA, key) for key in (ALONE, SHARED, ASKED, MASK)]
    _bring(backends, BOB, SHARED)
    _bring(backends, ADA, ASKED)
    asking.submit(backends.database, BOB, request=_request(mask_key=MASK))
    brought.release(backends, rows)
    assert _there(backends, ALONE, SHARED, ASKED, MASK) == [False, True, True, True]


def test_the_sweep_takes_what_no_row_names(backends: Backends) -> None:
    """Half an hour is not enough: it may be on its way."""
    asking.submit(backends.database, BOB, request=_request(source_key=SHARED))
    for key in (ALONE, SHARED, ASKED):
        backends.images.save(key, b"picture")
    _bring(backends, ADA, REFUSED)
    _age(backends, 0.02)
    Sweep(backends).round()
    assert _there(backends, ALONE, SHARED, ASKED, REFUSED) == [True] * 4
    _age(backends)
    sweep = Sweep(backends)
    assert sweep.round() is False
    assert _there(backends, ALONE, SHARED, ASKED, REFUSED) == [False, True, False, False]
    assert sweep.deleted == 2, "and one was let go"


def test_the_sweep_takes_what_lost_attempts_left(backends: Backends) -> None:
    database = backends.database
    drawn, whole, waiting = (
        asking.made(database, ADA),
        asking.made(database, ADA),
        asking.submit(database, ADA),
    )
    movie, movie_of_deleted = movie_key_for(whole, 1), movie_key_for(drawn, 2)
    with database.writing() as session:
        session.get_one(Job, whole).movie_key = movie
        session.get_one(Job, drawn).movie_key = movie_of_deleted
        for image in session.scalars(select(Image)):
            image.key = key_for(image.job_id, 2, image.index)
        session.scalars(select(Image).where(Image.job_id == drawn, Image.index == 3)).one().deleted_at = 1
    lost, foreign = key_for(drawn, 1, 0), key_for(waiting + 1, 1, 0)
    held = key_for(waiting, 1, 0)
    kept = [*(key_for(drawn, 2, index) for index in range(3)), movie, held, foreign]
    gone = (lost, key_for(drawn, 2, 3), movie_of_deleted)
    for key in (*gone, *kept):
        backends.images.save(key, b"picture")
    (backends.images.folder / "notes.txt").write_text("not ours")
    _age(backends)
    Sweep(backends).round()
    assert _there(backends, *gone) == [False] * 3
    assert _there(backends, *kept) == [True] * len(kept)
    assert (backends.images.folder / "notes.txt").exists()


def test_the_sweep_leaves_what_is_older_than_the_database(backends: Backends) -> None:
    """A new database at an old store knows none of its pictures."""
    drawn = asking.made(backends.database, ADA)
    old = (ALONE, key_for(drawn, 1, 0))
    for key in old:
        backends.images.save(key, b"picture")
        long_ago = time.time() - 2.5 * AGE_S
        os.utime(backends.images.folder / key, (long_ago, long_ago))
    Sweep(backends).round()
    assert _there(backends, *old) == [True, True]


def test_the_sweep_goes_through_a_large_store_in_rounds(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sweep.MOST", 2)
    asking.submit(backends.database, ADA)
    for number in range(5):
        backends.images.save(f"incoming/{number}.png", b"picture")
    _age(backends)
    sweep = Sweep(backends)
    assert [sweep.round() for _ in range(3)] == [True, True, False]
    assert (sweep.deleted, _there(backends, "incoming/0.png", "incoming/4.png")) == (5, [False, False])


def _while_deleting(images: ImageStore, act: Callable[[], None]) -> threading.Thread:
    """Run `act` on a thread that begins just before a file goes, and let it come as far as it can."""
    thread = threading.Thread(target=act)
    delete = images.delete

    def slowly(key: str) -> None:
        thread.start()
        time.sleep(0.3)
        delete(key)

    images.delete = slowly  # type: ignore[method-assign]
    return thread


def test_who_brings_it_while_it_goes_brings_it_anew(backends: Backends) -> None:
    """The row waits until the file is gone; whoever looks for it then finds that it has to be saved."""
    row = _bring(backends, ADA, SHARED)
    found: list[bool] = []

    def bring() -> None:
        with backends.database.writing() as session:
            brought.bring(session, BOB, SHARED)
        found.append(backends.images.exists(SHARED))

    thread = _while_deleting(backends.images, bring)
    brought.release(backends, [row])
    thread.join()
    assert found == [False]
