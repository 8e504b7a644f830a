"""Deleted pictures are gone from everything that was made of them on the way, whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from storage import attempts, brought, jobs, privacy, removals
from storage.attempts import Claim
from storage.backends import Backends
from storage.config import Config
from storage.contract import Action, Task
from storage.images import COMPOSED, key_for, movie_key_for
from storage.removals import Removed
from storage.tables import Image, Job
from tests.storage import asking

ADA, BOB = 1, 2

Delete = Callable[[Backends, int], None]


@pytest.fixture
def backends(database_url: str, tmp_path: Path) -> Iterator[Backends]:
    opened = Backends.open(
        Config(database_url=database_url, images_url=f"file://{tmp_path / 'pictures'}", data_dir=tmp_path)
    )
    yield opened
    opened.close()


def _drawn(backends: Backends, member_id: int, action: Action, parent: Image | Job | None, sheet: str) -> Job:
    """A finished job with its pictures and its movie, begun with `sheet` if that is not empty."""
    request = asking.draft().request
    facts: dict[str, Any] = {"action": action}
    if isinstance(parent, Image):
        facts |= {"parent_job_id": parent.job_id, "parent_image_id": parent.id}
        request = request.changed(task=Task.IMAGE_TO_IMAGE, parent_image_id=parent.id)
    elif parent is not None:
        facts |= {"parent_job_id": parent.id}
    if sheet:
        with backends.database.writing() as session:
            brought.bring(session, member_id, sheet)
        backends.images.save(sheet, b"a sheet")
        request = request.changed(task=Task.INPAINTING, source_key=sheet, mask_words="sky")
    job_id = asking.made(backends.database, member_id, request=request, **facts)
    with backends.database.writing() as session:
        job = jobs.get(session, job_id)
        job.movie_key = movie_key_for(job_id, 1)
        backends.images.save(job.movie_key, b"a movie")
        for image in jobs.images_of(session, job_id):
            image.key = key_for(job_id, 1, image.index)
            backends.images.save(image.key, b"a picture")
    return job


def _first(backends: Backends, job: Job) -> Image:
    return _images(backends, job.id)[0]


def _images(backends: Backends, job_id: int) -> list[Image]:
    with backends.database.reading() as session:
        return jobs.images_of(session, job_id)


def _one(backends: Backends, job_id: int) -> None:
    with backends.database.writing() as session:
        image = jobs.images_of(session, job_id)[0]
        removed = removals.remove(session, job_id, image.id)
    removed.remains.delete(backends)


def _all(backends: Backends, job_id: int) -> None:
    with backends.database.writing() as session:
        removed = removals.remove(session, job_id)
    removed.remains.delete(backends)


def _erase(backends: Backends, _: int) -> None:
    privacy.erase(backends, ADA)


@pytest.mark.parametrize(
    ("member_id", "delete"),
    [
        (BOB, _erase),
        *(pytest.param(BOB, delete, marks=pytest.mark.exhaustive) for delete in (_one, _all)),
        *(pytest.param(ADA, delete, marks=pytest.mark.exhaustive) for delete in (_one, _all, _erase)),
    ],
)
@pytest.mark.parametrize(
    ("line", "begun_with_sheet"),
    [
        pytest.param([Action.ZOOM_OUT], True, id="zoom"),
        pytest.param([Action.PAN_LEFT], True, id="pan"),
        pytest.param([Action.MAKE_SQUARE], True, id="square"),
        pytest.param([Action.ZOOM_CUSTOM, Action.REROLL, Action.REROLL], True, id="rerolled zoom"),
        pytest.param([Action.UPSCALE_2X, Action.UPSCALE_2X, Action.ZOOM_OUT], True, id="enlarged, then zoom"),
        pytest.param([Action.VARY_STRONG], False, id="variation"),
        pytest.param([Action.VARY_REGION, Action.REROLL], False, id="rerolled region"),
        pytest.param([Action.UPSCALE_CREATIVE, Action.VARY_SUBTLE], False, id="enlarged, then varied"),
    ],
)
def test_sheets_and_movies_go_and_finished_pictures_stay(
    backends: Backends, line: list[Action], begun_with_sheet: bool, member_id: int, delete: Delete
) -> None:
    first = _drawn(backends, ADA, Action.IMAGINE, None, "")
    sheet = f"{COMPOSED}sheet.png" if begun_with_sheet else ""
    made = [first]
    for action in line:
        again = action is Action.REROLL
        enlarges = action.value.startswith("upscale")
        parent = made[-1] if again else _first(backends, made[-1])
        made.append(_drawn(backends, member_id, action, parent, "" if enlarges else sheet))
    delete(backends, first.id)
    assert not any(backends.images.exists(movie_key_for(job.id, 1)) for job in made)
    assert not sheet or not backends.images.exists(sheet)
    kept = [_first(backends, job) for job in made[1:]] if member_id == BOB else []
    assert all(backends.images.exists(image.key) for image in kept)


@pytest.mark.parametrize("delete", [_one, _all, _erase])
def test_what_was_drawn_from_other_pictures_stays(backends: Backends, delete: Delete) -> None:
    hers, his = (_drawn(backends, member_id, Action.IMAGINE, None, "") for member_id in (ADA, BOB))
    sheet = f"{COMPOSED}his.png"
    zoom = _drawn(backends, BOB, Action.ZOOM_OUT, _first(backends, his), sheet)
    # Asked for below her picture, but of its words.
    reroll = _drawn(backends, BOB, Action.REROLL, _first(backends, hers), "")
    delete(backends, hers.id)
    assert backends.images.exists(sheet)
    assert all(backends.images.exists(movie_key_for(job.id, 1)) for job in (his, zoom, reroll))


VARIED = [
    pytest.param([Action.VARY_STRONG], id="variation"),
    pytest.param([Action.VARY_REGION, Action.REROLL], id="rerolled region"),
    pytest.param([Action.UPSCALE_2X, Action.UPSCALE_2X, Action.ZOOM_OUT], id="enlarged, then zoom"),
]


def _running(backends: Backends, line: list[Action]) -> tuple[Job, Claim]:
    """Her finished job, and his that is being drawn from its first picture by way of these actions."""
    first = last = _drawn(backends, ADA, Action.IMAGINE, None, "")
    for action in line[:-1]:
        last = _drawn(backends, BOB, action, _first(backends, last), "")
    request = asking.draft().request.changed(video=True)
    parent = {} if line[-1] is Action.REROLL else {"parent_image_id": _first(backends, last).id}
    job_id = asking.submit(
        backends.database, BOB, action=line[-1], parent_job_id=last.id, request=request, **parent
    )
    claimed = asking.must_claim(backends.database, asking.worker(backends.database))
    assert claimed.job_id == job_id
    return first, claimed


def _finish(backends: Backends, claimed: Claim) -> str | None:
    key = movie_key_for(claimed.job_id, claimed.attempt)
    with backends.database.writing() as session:
        job = attempts.finish(session, claimed.job_id, claimed.attempt, asking.pictures(), {}, movie_key=key)
        return job.movie_key


@pytest.mark.parametrize("delete", [_one, _all, _erase])
@pytest.mark.parametrize("line", VARIED)
def test_a_picture_that_goes_while_another_is_drawn_from_it_gets_into_no_movie(
    backends: Backends, line: list[Action], delete: Delete
) -> None:
    first, claimed = _running(backends, line)
    delete(backends, first.id)
    assert _finish(backends, claimed) is None
    assert len(_images(backends, claimed.job_id)) == 4


@pytest.mark.parametrize("line", VARIED)
def test_a_movie_of_pictures_that_stay_is_kept(backends: Backends, line: list[Action]) -> None:
    first, claimed = _running(backends, line)
    with backends.database.writing() as session:
        removals.remove(session, first.id, jobs.images_of(session, first.id)[1].id)
    assert _finish(backends, claimed) == movie_key_for(claimed.job_id, claimed.attempt)


def test_a_picture_that_goes_in_the_moment_of_the_end(backends: Backends) -> None:
    """Whichever of the two transactions is first, the other waits for it and finds what it left."""
    first, claimed = _running(backends, [Action.VARY_STRONG])
    with ThreadPoolExecutor(1) as threads:
        with backends.database.writing() as session:
            removed = removals.remove(session, first.id)
            finished = threads.submit(_finish, backends, claimed)
            wait([finished], timeout=0.5)
        assert finished.result(30) is None
    assert not [key for key in removed.remains.movies if f"/{claimed.job_id}/" in key]


def test_a_movie_that_comes_in_the_moment_of_a_removal(backends: Backends) -> None:
    first, claimed = _running(backends, [Action.VARY_STRONG])
    key = movie_key_for(claimed.job_id, claimed.attempt)

    def remove() -> Removed:
        with backends.database.writing() as session:
            return removals.remove(session, first.id)

    with ThreadPoolExecutor(1) as threads:
        with backends.database.writing() as session:
            attempts.finish(session, claimed.job_id, claimed.attempt, asking.pictures(), {}, movie_key=key)
            session.flush()
            removed = threads.submit(remove)
            wait([removed], timeout=0.5)
        assert key in removed.result(30).remains.movies
    assert asking.get(backends.database, claimed.job_id).movie_key is None
