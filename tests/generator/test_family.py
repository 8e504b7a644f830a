"""A model of another family draws through the engine, which knows nothing of it but the protocol."""

from __future__ import annotations

import ast
import itertools
import pkgutil
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from generator.companions.shorten import Shortener
from generator.engine.engine import Engine, Progress
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from generator.families.base import Conditions, Family
from generator.worker.attempt import error_code
from storage import model_families
from storage.catalog_model import ModelEntry
from storage.contract import ErrorCode, GenerationRequest, Lora, Task
from storage.errors import CatalogError, SamplerUnavailable
from tests.generator import tiny, toy_flow
from tests.generator.reference import difference
from tests.generator.sharing import noisy

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).parents[2]
INNARDS = {"unet", "alphas_cumprod", "prediction_type", "StableDiffusion", "StableDiffusionXL"}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(model_families.FAMILIES, "toy", toy_flow.LINE)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_flow.make(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with Engine.open(str(folder), device="cpu") as engine:
        yield engine


def asked(**wish: Any) -> GenerationRequest:
    fields: dict[str, Any] = {
        "prompt": "a red castle",
        "scheduler": "euler",
        "width": 32,
        "height": 32,
        "seed": 7,
    }
    more = {"num_inference_steps": 6, "guidance_scale": 2.0, "num_images_per_prompt": 2}
    return GenerationRequest.model_validate(fields | more | wish)


def shade(image: PIL.Image.Image) -> float:
    return float(np.asarray(image, float).mean())


def test_its_folder_is_known_by_its_pipeline(engine: Engine) -> None:
    assert isinstance(engine.family, toy_flow.ToyFlow)


@torch.inference_mode()
def test_it_draws_what_a_plain_loop_draws(engine: Engine) -> None:
    """Euler's steps over diffusers' noise levels, written out."""
    family = toy_flow.ToyFlow(CPU, torch.float32)
    request = asked(num_images_per_prompt=1)
    words = [family.encode([text])[0] for text in (request.negative_prompt, request.prompt)]
    denoising = toy_flow.FlowDenoising(request.num_inference_steps, None)
    sigmas = denoising._sigmas
    latents = torch.randn((1, 3, 8, 8), generator=torch.Generator().manual_seed(request.seed))
    for sigma, after in itertools.pairwise(sigmas):
        nothing, something = (
            family.predict(latents, torch.tensor([1000 * sigma]), family.joined([{"text": each.tokens}]))
            for each in words
        )
        latents = latents + (after - sigma) * (something + request.guidance_scale * (something - nothing))
    (drawn,) = engine.submit(request).result()
    assert difference([drawn], family.images(family.decode(latents))) <= 1


def test_prompt_guidance_and_seed_all_move_the_picture(engine: Engine) -> None:
    changes: list[dict[str, Any]] = [{}, {"prompt": "a boat"}, {"guidance_scale": 0.0}, {"seed": 8}]
    plain, *others = (engine.submit(asked(**each)).result() for each in changes)
    assert all(difference(plain, other) > 8 for other in others)


def test_alone_and_among_strangers_it_is_the_same(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = asked(num_images_per_prompt=1)
    others = [
        asked(prompt="a much longer prompt about boats on the sea", num_inference_steps=9, seed=1),
        asked(prompt="", guidance_scale=0.0, seed=2, num_inference_steps=3),
        asked(negative_prompt="blue", guidance_scale=5.0, seed=3),
    ]
    alone = engine.submit(mine, alone=True).result()
    rows: list[int] = []
    predict = engine.family.predict

    def counted(latents: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        rows.append(len(latents))
        return predict(latents, timesteps, conditions)

    monkeypatch.setattr(engine.family, "predict", counted)
    futures = engine.device_thread.call(lambda: [engine.submit(each) for each in (mine, *others)])
    among, *_ = [future.result() for future in futures]
    assert difference(alone, among) <= 1
    assert max(rows) == 2 + 4 + 2 + 4


@torch.inference_mode()
def test_texts_of_any_length_share_a_call(engine: Engine) -> None:
    jobs = [RunningJob(engine.family, DrawRequest(asked(prompt=text))) for text in ("a", "a boat at night")]
    for rows in jobs:
        rows.start()
    assert jobs[0].group == jobs[1].group
    assert len({rows.conditions["text"].shape for rows in jobs}) == 2


def test_image_to_image_keeps_more_of_its_picture_at_less_strength(engine: Engine) -> None:
    source = PIL.Image.new("RGB", (32, 32), (250, 250, 250))
    subtle, strong = (
        engine.submit(
            asked(task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=strength, num_inference_steps=20),
            image=source,
        ).result()[0]
        for strength in (0.1, 0.9)
    )
    assert abs(shade(subtle) - 250) < abs(shade(strong) - 250)


def test_inpainting_keeps_what_the_mask_leaves_black(engine: Engine) -> None:
    source = toy_flow.ToyFlow(CPU, torch.float32)
    before = source.images(
        source.decode(source.source_latents(source.pixels(noisy(), 32, 32), [torch.Generator()]))
    )
    mask = PIL.Image.new("L", (32, 32))
    mask.paste(255, (0, 0, 16, 32))
    request = asked(task=Task.INPAINTING, parent_image_id=1, mask_key="m.png", strength=1.0)
    after = engine.submit(request, image=before[0], mask=mask).result()
    kept, changed = (16, 0, 32, 32), (0, 0, 16, 32)
    assert difference([before[0].crop(kept)], [after[0].crop(kept)]) <= 1
    assert difference([before[0].crop(changed)], [after[0].crop(changed)]) > 8


def test_previews_come_nearer_to_the_picture(engine: Engine) -> None:
    seen: list[PIL.Image.Image] = []

    def note(progress: Progress) -> None:
        assert progress.preview is not None
        seen.append(progress.preview()[0])

    (drawn,) = engine.submit(asked(num_images_per_prompt=1), on_progress=note).result()
    small = np.asarray(drawn.resize(seen[0].size, PIL.Image.Resampling.BOX), float)
    distances = [float(np.abs(np.asarray(each, float) - small).mean()) for each in seen]
    assert distances[-1] < distances[0]


def test_it_can_be_cancelled_and_stopped_early(engine: Engine) -> None:
    begun = threading.Event()
    future = engine.submit(asked(num_inference_steps=900), on_progress=lambda _: begun.set())
    assert begun.wait(60)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    whole, stopped = (engine.submit(asked(num_images_per_prompt=1, stop=stop)).result() for stop in (100, 50))
    assert difference(whole, stopped) > 0


def test_words_of_its_prompts_are_weighed(engine: Engine) -> None:
    shortened = Shortener(engine.family).shorten("a red castle by the sea")
    assert len(shortened.weights) == 6
    assert max(weight for _, weight in shortened.weights) == 1.0
    assert len({weight for _, weight in shortened.weights}) > 3


def test_what_it_cannot_do_is_refused(engine: Engine, folder: Path) -> None:
    entry = ModelEntry(
        name="m", title="M", source=str(folder), sizes=((32, 32),), family="toy", loras={"ink": "x"}
    )
    with Engine.open(str(folder), device="cpu", entry=entry) as other:
        future = other.submit(asked(loras=(Lora(name="ink", weight=1.0),)))
        assert "takes no LoRAs" in str(future.exception())
    with pytest.raises(CatalogError, match="tile"):
        engine.submit(asked(tile=True)).result()


@pytest.mark.parametrize("sampler", ["heun", "nonsense"])
def test_a_sampler_that_it_does_not_run_is_refused_with_those_it_does(engine: Engine, sampler: str) -> None:
    with pytest.raises(SamplerUnavailable, match=f"{sampler}.*euler") as refused:
        engine.submit(asked(scheduler=sampler)).result()
    assert error_code(refused.value) is ErrorCode.SAMPLER_UNAVAILABLE


def test_stable_diffusion_with_a_flow_scheduler_is_not_loaded(tmp_path: Path) -> None:
    folder = tiny.make_sd(tmp_path / "flow")
    FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("DDIMScheduler", "FlowMatchEulerDiscreteScheduler"))
    with pytest.raises(CatalogError, match="FlowMatchEulerDiscreteScheduler"):
        loading.load(str(folder), CPU)


@pytest.mark.parametrize("name", sorted(model_families.FAMILIES))
def test_the_registry_says_of_a_family_what_its_class_says(name: str) -> None:
    line = model_families.FAMILIES[name]
    kind = pkgutil.resolve_name(line.code)
    assert Family in kind.__mro__
    assert tuple(kind.samplers) == line.samplers


@pytest.mark.parametrize("room", ["engine", "worker", "companions"])
def test_no_room_but_families_knows_a_models_innards(room: str) -> None:
    for file in sorted((REPOSITORY / "generator" / room).glob("*.py")):
        known = {name for name in names(ast.parse(file.read_text(encoding="utf-8"))) if is_innards(name)}
        assert not known, file


def is_innards(name: str) -> bool:
    return name in INNARDS or "unet" in name.casefold().replace("controlnet", "").split("_")


def names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Constant(value=str(text)) if text.isidentifier():
                yield text


def test_innards_would_be_found() -> None:
    code = "family.unet.config.x\nf(prediction_type=1)\nfrom a import StableDiffusion\ndef unet_input(): ..."
    assert {name for name in names(ast.parse(code)) if is_innards(name)} == {
        "unet", "prediction_type", "StableDiffusion", "unet_input"
    }  # fmt: skip
