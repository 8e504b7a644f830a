"""float16, in which GPUs draw: on a processor it computes the same, only slower."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline

from benchmarks.likeness import LEAST_DB, decibels
from generator import devices
from generator.engine.engine import Engine
from generator.families import loading, schedulers
from storage.contract import GenerationRequest

CHOSEN = [("sd_folder", "euler_a"), ("sd2_folder", "unipc"), ("sdxl_folder", "dpm++2m")]
EVERY = [
    *product(["sd_folder", "sd2_folder", "sdxl_folder"], ["ddim", "euler_a", "dpm++2m", "unipc"]),
    ("picturebook_folder", "unipc"),  # a processor takes its time for so much float16
]
CASES = [pytest.param(*case, marks=() if case in CHOSEN else pytest.mark.exhaustive) for case in EVERY]


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "dtype", lambda _: torch.float16)
        engine = Engine.open(str(folder), device="cpu")
    with engine:
        yield engine


def asked(sampler: str, seed: int = 7, steps: int = 5) -> GenerationRequest:
    return GenerationRequest(
        prompt="a red castle",
        width=64,
        height=64,
        seed=seed,
        scheduler=sampler,
        num_inference_steps=steps,
        num_images_per_prompt=2,
    )


@pytest.mark.filterwarnings("ignore:`upcast_vae`:FutureWarning")  # the pipeline's own way for XL
@pytest.mark.parametrize(("folder", "sampler"), CASES, indirect=["folder"])
def test_a_row_is_the_same_among_strangers_and_by_the_pipeline(
    engine: Engine, folder: Path, sampler: str
) -> None:
    assert engine.family.dtype is torch.float16
    alone = engine.submit(asked(sampler)).result()
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float16)
    if "safety_checker" in pipeline.components:
        pipeline.safety_checker = None
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = schedulers.build(sampler, pipeline.scheduler.config)
    request = asked(sampler)
    by_pipeline = pipeline(
        request.prompt,
        width=64,
        height=64,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        num_images_per_prompt=2,
        generator=[torch.Generator().manual_seed(request.seed_of(index)) for index in range(2)],
    ).images
    assert decibels(alone, by_pipeline) >= LEAST_DB
    together = [engine.submit(request), *(engine.submit(asked("euler", seed, 9)) for seed in (1, 2))]
    assert decibels(alone, next(future.result() for future in together)) >= LEAST_DB


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", ["unet", "vae"])
def test_a_model_that_overflows_is_loaded_in_wider_numbers(
    sd_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
) -> None:
    monkeypatch.setattr(devices, "dtype", lambda _: torch.float16)
    pipeline = DiffusionPipeline.from_pretrained(sd_folder)
    layer = pipeline.unet.conv_in if part == "unet" else pipeline.vae.decoder.conv_in
    with torch.no_grad():
        layer.weight.fill_(5e4)  # which float16 still holds, but not what comes of it
    pipeline.save_pretrained(tmp_path / "large")
    family = loading.load(str(tmp_path / "large"), torch.device("cpu"))
    assert family.dtype is torch.float32
    assert family.is_sound()
    assert "overflows in float16" in caplog.text
    assert loading.load(str(sd_folder), torch.device("cpu")).dtype is torch.float16
