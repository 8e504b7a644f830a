"""A CUDA GPU, in float16: every sampler, everything that steers, and compiled calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from diffusers import DiffusionPipeline

from benchmarks.likeness import LEAST_DB, decibels
from benchmarks.pipeline import Pipeline
from generator.compiling import calls
from generator.engine.engine import Engine
from generator.families import schedulers
from storage.contract import Control, GenerationRequest, Lora, Reference, Role, Task
from tests.generator import tiny
from tests.generator.sharing import noisy, stable_diffusion
from tests.generator.working import wait_for

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU"),
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:`upcast_vae`:FutureWarning"),  # the pipeline's own way for XL
]


@pytest.fixture(scope="module", params=["sd_folder", "sd2_folder", "sdxl_folder", "picturebook_folder"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with Engine.open(str(folder), device="cuda", compiled=False) as engine:
        yield engine


def asked(sampler: str = "ddim", **wish: Any) -> GenerationRequest:
    fields = {"prompt": "a red castle", "width": 64, "height": 64, "seed": 7, "num_inference_steps": 5}
    return GenerationRequest.model_validate(
        {**fields, "num_images_per_prompt": 2, "scheduler": sampler, **wish}
    )


def test_every_sampler_draws_what_diffusers_does(engine: Engine, folder: Path) -> None:
    assert engine.family.dtype is torch.float16
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float16).to("cuda")
    if "safety_checker" in pipeline.components:
        pipeline.safety_checker = None
    by_diffusers = Pipeline(pipeline)
    found = {}
    for sampler in schedulers.TABLE:
        request = asked(sampler)
        found[sampler] = decibels(engine.submit(request).result(), by_diffusers.draw(request))
    print({name: round(each) for name, each in found.items()})
    assert min(found.values()) >= LEAST_DB, found


def test_every_sampler_among_strangers_is_itself_alone(engine: Engine) -> None:
    requests = [asked(sampler, seed=number) for number, sampler in enumerate(schedulers.TABLE)]
    alone = [engine.submit(request).result() for request in requests]
    together = []
    for request in requests:
        together.append(engine.submit(request))
        time.sleep(0.01)
    found = {
        request.scheduler: decibels(before, future.result())
        for request, before, future in zip(requests, alone, together, strict=True)
    }
    print({name: round(each) for name, each in found.items()})
    assert min(found.values()) >= LEAST_DB, found


def test_compiled_calls_draw_the_same(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Engine.open(str(folder), device="cuda", compiled=False) as engine:
        before = [engine.submit(request).result() for request in _several()]
    monkeypatch.setattr(calls, "WORTH_COMPILING", 2)
    with Engine.open(str(folder), device="cuda") as engine:
        network = stable_diffusion(engine.family).denoiser
        assert isinstance(network, calls.CompiledCall)

        def is_compiled() -> bool:
            after = [engine.submit(request).result() for request in _several()]
            assert min(map(decibels, before, after)) >= LEAST_DB
            return len(network._compiled) >= 1

        wait_for(is_compiled, 300)
        assert is_compiled()


def _several() -> list[GenerationRequest]:
    return [asked("ddim"), asked("euler_a"), asked("unipc"), asked("dpm++2m")]


STEERED: dict[str, Callable[[], dict[str, Any]]] = {
    "loras": lambda: {"loras": (Lora(name="ink", weight=1.0),)},
    "style": lambda: {"references": (Reference(role=Role.STYLE, keys=("k",), weight=0.8),)},
    "control": lambda: {"control": Control(kind="edges", weight=0.8, key="k")},
    "tile": lambda: {"tile": True},
    "image": lambda: {"task": Task.IMAGE_TO_IMAGE, "parent_image_id": 1, "strength": 0.6},
    "mask": lambda: {"task": Task.INPAINTING, "parent_image_id": 1, "strength": 0.8, "mask_key": "k"},
}


@pytest.mark.parametrize("folder", ["sd_folder", "sd2_folder", "sdxl_folder"], indirect=True)
def test_what_steers_does_so_on_a_gpu(folder: Path, tmp_path: Path) -> None:
    entry = tiny.make_steered(tmp_path, folder)
    found = {}
    with (
        Engine.open(str(folder), device="cuda", entry=entry, compiled=False) as gpu,
        Engine.open(str(folder), device="cpu", entry=entry) as processor,
    ):
        for way, wish in STEERED.items():
            request = asked(**wish())
            given: dict[str, Any] = {
                "image": noisy(1) if request.parent_image_id else None,
                "mask": PIL.Image.new("L", (64, 64), 255) if request.mask_key else None,
                "control": noisy(2) if request.control else None,
                "references": {each.role: [noisy(3)] for each in request.references},
            }
            found[way] = decibels(*(each.submit(request, **given).result() for each in (gpu, processor)))
    print({name: round(each) for name, each in found.items()})
    assert min(found.values()) >= 40, found
