"""LoRAs that are part of a model, and those of its draft: the pictures of a pipeline with them fused."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from generator.engine.engine import Engine
from generator.families import loading
from generator.worker.models import Models
from prompts.parser import parse
from storage.catalog import Catalog
from storage.catalog_companions import AlwaysLoraEntry, DraftEntry, LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.reference import Pipeline, difference
from tests.generator.sharing import stable_diffusion


@pytest.fixture(scope="module")
def lora(sd_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.make_lora(tmp_path_factory.mktemp("loras") / "quick.safetensors", sd_folder, kohya=True))


def entry(folder: Path, **fields: Any) -> ModelEntry:
    return ModelEntry(name="m", title="M", source=str(folder), sizes=((64, 64),), stylize=0, **fields)


def asked(model: ModelEntry, typed: str) -> GenerationRequest:
    request = parse(f"a cat {typed} --seed 7", Catalog(default="m", models={"m": model})).request
    return request.changed(num_images_per_prompt=2)


def fused(folder: Path, lora: str, weight: float, request: GenerationRequest) -> Sequence[Any]:
    reference = Pipeline(folder)
    reference.pipeline.load_lora_weights(lora, adapter_name="it")
    reference.pipeline.fuse_lora(lora_scale=weight)
    reference.pipeline.unload_lora_weights()
    return reference.draw(request)


def test_a_draft_is_drawn_with_its_steps_guidance_sampler_and_loras(sd_folder: Path, lora: str) -> None:
    draft = DraftEntry(num_inference_steps=4, guidance_scale=1.5, scheduler="lcm", loras={"quick": 0.8})
    model = entry(sd_folder, loras={"quick": LoraEntry(source=lora)}, draft=draft, num_inference_steps=6)
    with Engine.open(str(sd_folder), device="cpu", entry=model) as engine:
        request = asked(model, "--draft")
        drawn, ordinary = (engine.submit(each).result() for each in (request, asked(model, "")))
    assert (request.num_inference_steps, request.scheduler) == (4, "lcm")
    assert difference(drawn, fused(sd_folder, lora, 0.8, request)) <= 1
    assert difference(ordinary, Pipeline(sd_folder).draw(asked(model, ""))) <= 1


def test_a_lora_that_is_part_of_a_model_is_in_all_its_pictures(sd_folder: Path, lora: str) -> None:
    always = {"it": AlwaysLoraEntry(source=lora, weight=0.7)}
    model = entry(sd_folder, always_loras=always, num_inference_steps=3)
    request = asked(model, "")
    with Engine.open(str(sd_folder), device="cpu", entry=model) as engine:
        drawn = engine.submit(request).result()
        assert not engine.has_variants
    with closing(Models(Catalog(default="m", models={"m": model}), "cpu", "off")) as models:
        assert difference(models.engine("m").submit(request).result(), drawn) == 0, "a worker's has it too"
    assert difference(drawn, fused(sd_folder, lora, 0.7, request)) <= 1
    assert difference(drawn, Pipeline(sd_folder).draw(request)) > 8


def test_its_trigger_is_read_behind_every_prompt(sd_folder: Path, lora: str) -> None:
    always = {"it": AlwaysLoraEntry(source=lora, trigger="in inks")}
    model = entry(sd_folder, always_loras=always, num_inference_steps=3)
    request = asked(model, "")
    with Engine.open(str(sd_folder), device="cpu", entry=model) as engine:
        drawn = engine.submit(request).result()
    assert difference(drawn, fused(sd_folder, lora, 1.0, request.changed(prompt="a cat, in inks"))) <= 1


@torch.inference_mode()
def test_projections_joined_for_a_gpu_have_it_too(sd_folder: Path, lora: str) -> None:
    plain, gpu = (stable_diffusion(loading.load(str(sd_folder), torch.device("cpu"))) for _ in range(2))
    gpu.unet.fuse_qkv_projections()
    model = entry(sd_folder, always_loras={"it": AlwaysLoraEntry(source=lora)})
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def predicted() -> list[torch.Tensor]:
        words = plain.conditions([plain.prompts["a fox"]] * 2, [], size=(64, 64), guidance_scale=1.0)
        return [each.predict(latents, torch.full((2,), 500.0), words) for each in (plain, gpu)]

    before, _ = predicted()
    for each in (plain, gpu):
        loading.complete(each, model)
    one, other = predicted()
    assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(one, before, atol=1e-2)


def test_one_that_does_not_fit_keeps_the_model_from_loading(sd_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    model = entry(sd_folder, always_loras={"it": AlwaysLoraEntry(source=str(tmp_path / "torn.safetensors"))})
    with pytest.raises(CatalogError, match=r"The LoRA at .*torn\.safetensors cannot be used: "):
        Engine.open(str(sd_folder), device="cpu", entry=model)
