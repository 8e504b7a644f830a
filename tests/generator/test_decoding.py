"""Finished pictures are decoded a few at a time, and nobody's are changed, lost or waited for by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from generator.engine import decoding
from generator.engine.decoding import DecodeQueue
from generator.engine.engine import Engine
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from generator.families.base import Family
from storage.contract import GenerationRequest
from tests.generator.reference import difference

CPU = torch.device("cpu")
FOLDERS = ("sd_folder", "sd2_folder", "sdxl_folder", "picturebook_folder")


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def family(sd_folder: Path) -> Family:
    return loading.load(str(sd_folder), CPU)


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> DecodeQueue:
    """One whose calls take four pictures of 64 × 64 pixels."""
    monkeypatch.setattr(decoding, "CPU_PIXELS", 4 * 64 * 64)
    return DecodeQueue(CPU)


@pytest.fixture
def calls(family: Family, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pictures in each call of the autoencoder."""
    seen: list[int] = []
    decode = family.decode

    def counted(latents: Tensor) -> Tensor:
        seen.append(len(latents))
        return decode(latents)

    monkeypatch.setattr(family, "decode", counted)
    return seen


def finished(family: Family, count: int, *, seed: int = 0, side: int = 64) -> RunningJob:
    """A job whose latents are what noise comes to."""
    request = GenerationRequest(
        prompt="a fox", width=side, height=side, seed=seed, num_images_per_prompt=count, num_inference_steps=1
    )
    rows = RunningJob(family, DrawRequest(request))
    rows.latents = torch.randn((count, *rows.shape), generator=torch.Generator().manual_seed(seed))
    return rows


def all_decoded(decoder: DecodeQueue) -> dict[RunningJob, Tensor]:
    found: dict[RunningJob, Tensor] = {}
    while len(decoder):
        found |= dict(decoder.step())
    return found


def alone(rows: RunningJob) -> Tensor:
    return torch.cat([rows.family.decode(each[None]) for each in rows.latents])


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_picture_is_what_it_is_alone(request: pytest.FixtureRequest, folder: str) -> None:
    family = loading.load(str(request.getfixturevalue(folder)), CPU)
    jobs = [finished(family, count, seed=count) for count in (1, 4, 2)]
    decoder = DecodeQueue(CPU)
    for rows in jobs:
        decoder.add(rows)
    found = all_decoded(decoder)
    for rows in jobs:
        assert difference(family.images(found[rows]), family.images(alone(rows))) <= 1


def test_jobs_share_calls_of_few_sizes(decoder: DecodeQueue, family: Family, calls: list[int]) -> None:
    jobs = [finished(family, count, seed=count) for count in (1, 1, 4, 1)]
    for rows in jobs:
        decoder.add(rows)
    assert [rows for rows, _ in decoder.step()] == jobs[:2]
    assert [rows for rows, _ in decoder.step()] == [jobs[2]]
    assert [rows for rows, _ in decoder.step()] == [jobs[3]]
    assert calls == [4, 2, 1]


def test_a_large_picture_is_a_call_of_its_own(decoder: DecodeQueue, family: Family, calls: list[int]) -> None:
    decoder.add(finished(family, 2, side=256))
    decoder.add(finished(family, 2, side=64))
    assert len(all_decoded(decoder)) == 2
    assert calls == [1, 1, 2]


def refusing(
    family: Family, monkeypatch: pytest.MonkeyPatch, refused: Callable[[Tensor], Exception | None]
) -> None:
    decode = family.decode

    def refuse(latents: Tensor) -> Tensor:
        error = refused(latents)
        if error is not None:
            raise error
        return decode(latents)

    monkeypatch.setattr(family, "decode", refuse)


def test_what_fails_is_one_jobs_affair(
    decoder: DecodeQueue, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, other = (finished(family, 2, seed=seed) for seed in (1, 2, 3))
    poison = bad.latents[0]
    refusing(
        family,
        monkeypatch,
        lambda latents: ValueError("poison") if any(torch.equal(each, poison) for each in latents) else None,
    )
    for rows in (good, bad, other):
        decoder.add(rows)
    found = all_decoded(decoder)
    assert set(found) == {good, other}
    assert isinstance(bad.job.future.exception(), ValueError)
    torch.testing.assert_close(found[other], alone(other), rtol=0, atol=1e-4)


def test_out_of_memory_makes_smaller_calls_and_loses_nothing(
    decoder: DecodeQueue, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def no_memory(latents: Tensor) -> Exception | None:
        tried.append(len(latents))
        return torch.OutOfMemoryError("the GPU is full") if len(latents) > 2 else None

    refusing(family, monkeypatch, no_memory)
    jobs = [finished(family, 4, seed=seed) for seed in (1, 2)]
    for rows in jobs:
        decoder.add(rows)
    assert set(all_decoded(decoder)) == set(jobs)
    assert tried == [4, 2, 2, 2, 2]


def test_a_picture_that_never_fits_fails_its_job_only(
    decoder: DecodeQueue, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = torch.OutOfMemoryError("the GPU is full")
    refusing(family, monkeypatch, lambda latents: full if latents.shape[-1] > 8 else None)
    large, small = finished(family, 2, side=128), finished(family, 2)
    decoder.add(large)
    decoder.add(small)
    assert set(all_decoded(decoder)) == {small}
    assert isinstance(large.job.future.exception(), torch.OutOfMemoryError)


def test_a_cancelled_job_is_not_decoded(decoder: DecodeQueue, family: Family, calls: list[int]) -> None:
    gone, other = finished(family, 4), finished(family, 4)
    decoder.add(gone)
    decoder.add(other)
    gone.job.future.cancel()
    assert set(all_decoded(decoder)) == {other}
    assert calls == [4]
    with pytest.raises(RuntimeError):
        # Those who wait for several futures have been told already.
        gone.job.future.set_running_or_notify_cancel()


def test_a_tick_comes_between_two_calls(sd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CPU_PIXELS", 64 * 64)
    done: list[str] = []
    with Engine.open(str(sd_folder), device="cpu") as engine:
        predict, decode = engine.family.predict, engine.family.decode

        def tick(*given: Any) -> Tensor:
            done.append("tick")
            return predict(*given)

        def slowly(latents: Tensor) -> Tensor:
            done.append("decode")
            time.sleep(0.3)
            return decode(latents)

        monkeypatch.setattr(engine.family, "predict", tick)
        monkeypatch.setattr(engine.family, "decode", slowly)
        wish = {"prompt": "a fox", "width": 64, "height": 64, "seed": 1}
        long = engine.submit(GenerationRequest.model_validate(wish | {"num_inference_steps": 900}))
        short = engine.submit(GenerationRequest.model_validate(wish | {"num_inference_steps": 2}))
        assert len(short.result(60)) == 4
        assert not long.done()
        long.cancel()
    first, last = done.index("decode"), len(done) - 1 - done[::-1].index("decode")
    assert done[first : last + 1] == ["decode", "tick"] * 3 + ["decode"]
