"""Fifteen strangers come and go: every job's picture is what it is alone, within 1/255 per pixel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.engine.engine import Engine, Progress
from generator.families import schedulers
from storage.contract import GenerationRequest, Task
from tests.generator.reference import difference
from tests.generator.sharing import noisy

FOLDERS = (
    "sd_folder",
    "sd2_folder",
    "sdxl_folder",
    pytest.param("picturebook_folder", marks=pytest.mark.exhaustive),
)
STRANGERS = 15
TASKS = (Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.INPAINTING)


class Stranger(NamedTuple):
    """Comes `pause` seconds after the one before and leaves after so many calls, or when it is done."""

    request: GenerationRequest
    pause: float
    leaves_after: int | None


@st.composite
def requests(draw: st.DrawFn, scheduler: str | None = None) -> GenerationRequest:
    task = draw(st.sampled_from(TASKS))
    wish: dict[str, Any] = {
        "prompt": draw(st.sampled_from(["a boat", "a cat on a hill", "snow"])),
        "negative_prompt": draw(st.sampled_from(["", "night"])),
        "scheduler": scheduler or draw(st.sampled_from(sorted(schedulers.TABLE))),
        "num_inference_steps": draw(st.integers(1, 6)),
        "guidance_scale": draw(st.sampled_from([0.0, 1.0, 4.0, 9.5])),
        "num_images_per_prompt": draw(st.integers(1, 3)),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "task": task,
        "width": 64,
        "height": 64,
    }
    if task is not Task.TEXT_TO_IMAGE:
        wish |= {"parent_image_id": 1, "strength": draw(st.sampled_from([0.4, 0.8, 1.0]))}
    if task is Task.INPAINTING:
        wish |= {"mask_key": "mask.png"}
    return GenerationRequest.model_validate(wish)


strangers = st.builds(Stranger, requests(), st.floats(0, 0.02), st.none() | st.integers(1, 3))
one_of_every_sampler = st.tuples(*(requests(sampler) for sampler in sorted(schedulers.TABLE)))


@pytest.fixture(scope="module", params=FOLDERS)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    folder: Path = request.getfixturevalue(request.param)
    with Engine.open(str(folder), device="cpu") as engine:
        yield engine


def submitted(engine: Engine, request: GenerationRequest, **options: Any) -> Future[list[PIL.Image.Image]]:
    source = None if request.task is Task.TEXT_TO_IMAGE else noisy(request.seed % 7)
    mask = PIL.Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    return engine.submit(
        request, image=source, mask=mask if request.task is Task.INPAINTING else None, **options
    )


def come_and_go(engine: Engine, stranger: Stranger) -> Future[list[PIL.Image.Image]]:
    time.sleep(stranger.pause)
    calls = 0

    def progressed(_: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls == stranger.leaves_after:
            future.cancel()

    future = submitted(engine, stranger.request, on_progress=progressed)
    return future


@pytest.mark.timeout(900)
@settings(max_examples=settings().max_examples // 50, suppress_health_check=list(HealthCheck))
@given(
    jobs=one_of_every_sampler,
    crowd=st.lists(strangers, min_size=STRANGERS, max_size=STRANGERS),
    rng=st.randoms(use_true_random=False),
)
def test_every_sampler_among_strangers_is_itself_alone(
    engine: Engine, jobs: tuple[GenerationRequest, ...], crowd: list[Stranger], rng: Any
) -> None:
    alone = [submitted(engine, request).result() for request in jobs]
    comers: list[GenerationRequest | Stranger] = [*jobs, *crowd]
    rng.shuffle(comers)
    mine: dict[int, Future[list[PIL.Image.Image]]] = {}
    others = []
    for comer in comers:
        if isinstance(comer, Stranger):
            others.append(come_and_go(engine, comer))
        else:
            mine[id(comer)] = submitted(engine, comer)
    for request, images in zip(jobs, alone, strict=True):
        assert difference(mine[id(request)].result(), images) <= 1, request
    wait_for_futures(others, 120)
