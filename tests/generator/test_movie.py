"""The movie of the forming pictures ends with the grid, and before whatever the check stops."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import PIL.Image
import pytest

from generator.companions.safety import NoCheck, Verdict
from generator.engine.running_job import Progress
from generator.worker.movie import FRAMES, LONGEST_SIDE, Movie
from storage import image_encoding, jobs
from storage.contract import JobState
from tests.generator.sharing import noisy
from tests.generator.test_tasks import attempt_at, finished
from tests.generator.working import Place

Array = np.ndarray[Any, Any]


def frames(data: bytes) -> Iterator[Array]:
    with PIL.Image.open(io.BytesIO(data)) as movie:
        assert movie.format == "WEBP"
        for index in range(getattr(movie, "n_frames", 1)):
            movie.seek(index)
            yield np.asarray(movie.convert("RGB"), float)


def filmed(steps: int, size: tuple[int, int] = (32, 32)) -> Movie:
    """One in which picture by picture becomes brighter."""
    movie = Movie()
    for step in range(1, steps + 1):
        shade = PIL.Image.new("L", size, round(200 * step / steps)).convert("RGB")
        movie.progressed(Progress(step / steps, lambda shade=shade: [shade] * 4))  # type: ignore[misc]
    return movie


@pytest.mark.parametrize(("steps", "count"), [(1, 2), (20, 21), (38, 39), (39, 40), (40, 40), (100, 40)])
def test_a_frame_a_step_and_the_grid_but_forty_at_most(steps: int, count: int) -> None:
    finished = [noisy(seed) for seed in range(4)]
    data = filmed(steps).webp(finished, NoCheck())
    assert data is not None
    found = list(frames(data))
    assert len(found) == count <= FRAMES
    assert (found[-1] == np.asarray(image_encoding.grid(finished), float)).all(), "the last one loses nothing"
    brightness = [frame[:60, :60].mean() for frame in found[:-1]]
    assert brightness == sorted(brightness)
    with PIL.Image.open(io.BytesIO(data)) as movie:
        assert movie.info["loop"] == 0
        movie.seek(count - 1)
        movie.load()
        assert movie.info["duration"] > 1000


class Until:
    """A check that stops what is brighter."""

    def __init__(self, brightest: float) -> None:
        self._brightest = brightest

    def check(self, images: Sequence[PIL.Image.Image]) -> list[Verdict]:
        return [Verdict(np.asarray(image).mean() > self._brightest, {}) for image in images]


def test_it_ends_before_what_the_check_stops() -> None:
    movie, grid = filmed(10), [PIL.Image.new("RGB", (64, 64), "white")] * 4
    data = movie.webp(grid, Until(101))
    assert data is not None
    assert [round(frame.mean(), -1) for frame in frames(data)] == [20, 40, 60, 80, 100]
    assert movie.webp(grid, Until(0)) is None


def test_a_large_grid_is_made_smaller_and_an_odd_one_is_kept() -> None:
    grid = [PIL.Image.new("RGB", (1024, 768), "red")] * 4
    data = filmed(1).webp(grid, NoCheck())
    assert data is not None
    assert max(next(frames(data)).shape) <= LONGEST_SIDE
    single = [noisy(1, (37, 21))]
    movie = Movie()
    movie.progressed(Progress(0.5, lambda: [noisy(2, (18, 10))]))
    data = movie.webp(single, NoCheck())
    assert data is not None
    assert (list(frames(data))[-1] == np.asarray(single[0], float)).all()


def test_a_job_keeps_its_movie(place: Place) -> None:
    job_id = finished(place, video=True, num_inference_steps=5)
    job = place.job(job_id)
    assert job.movie_key is not None
    found = list(frames(place.backends.images.load(job.movie_key)))
    assert len(found) == 6
    images = [
        PIL.Image.open(io.BytesIO(place.backends.images.load(image.key))) for image in place.images(job_id)
    ]
    assert (found[-1] == np.asarray(image_encoding.grid(images), float)).all()
    assert job.movie_key.rpartition("/")[2] in place.files(job_id)
    assert "movie_ms" in job.timings


def test_without_video_there_is_none_and_the_pictures_are_the_same(place: Place) -> None:
    plain, filmed_ = finished(place), finished(place, video=True)
    assert place.job(plain).movie_key is None
    pixels = [
        [
            PIL.Image.open(io.BytesIO(place.backends.images.load(image.key))).tobytes()
            for image in place.images(job_id)
        ]
        for job_id in (plain, filmed_)
    ]
    assert pixels[0] == pixels[1]


def test_what_is_withheld_has_no_movie(place: Place) -> None:
    job_id = finished(place, model="strict", video=True)
    assert place.job(job_id).state == JobState.WITHHELD
    assert place.job(job_id).movie_key is None
    assert not [name for name in place.files(job_id) if name.endswith("webp")]


def test_an_attempt_that_lost_its_lease_leaves_no_movie(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = place.ask(video=True)
    attempt = attempt_at(place)
    save = place.backends.images.save

    def save_and_lose(key: str, data: bytes) -> None:
        save(key, data)
        if key.endswith("webp"):
            with place.backends.database.writing() as session:
                jobs.get(session, job_id).attempts += 1

    monkeypatch.setattr(place.backends.images, "save", save_and_lose)
    attempt.run()
    assert place.job(job_id).movie_key is None
    assert place.files(job_id) == []
