"""LoRAs: what diffusers' own pipeline draws with one, and nothing of it in anybody else's picture."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from generator.engine.engine import Engine
from generator.engine.patched_models import MOST, PatchedModels
from generator.families import loading
from generator.families.base import WeightedLora
from storage import catalog
from storage.catalog_companions import LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Lora, Task
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.reference import Pipeline, difference
from tests.generator.sharing import noisy, stable_diffusion

CPU = torch.device("cpu")


def asked(*loras: tuple[str, float], **wish: Any) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, "num_inference_steps": 3}
    named = tuple(Lora(name=name, weight=weight) for name, weight in loras)
    return GenerationRequest.model_validate(fields | {"num_images_per_prompt": 2} | wish | {"loras": named})


def entry(folder: Path, **loras: LoraEntry) -> ModelEntry:
    return ModelEntry(name="m", title="M", source=str(folder), sizes=((64, 64),), loras=loras)


@pytest.fixture(
    scope="module", params=["sd_folder", pytest.param("sdxl_folder", marks=pytest.mark.exhaustive)]
)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def loras(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoraEntry]:
    """One for all networks, one for the UNet alone, and one for all in kohya's layout."""
    place = tmp_path_factory.mktemp("loras")
    files = {
        "whole": tiny.make_lora(place / "whole.safetensors", folder),
        "unet": tiny.make_lora(place / "unet.safetensors", folder, encoders=False, seed=1),
        "kohya": tiny.make_lora(place / "kohya.safetensors", folder, kohya=True, seed=2),
    }
    return {name: LoraEntry(source=str(file)) for name, file in files.items()}


@pytest.fixture(scope="module")
def engine(folder: Path, loras: dict[str, LoraEntry]) -> Iterator[Engine]:
    with Engine.open(str(folder), device="cpu", entry=entry(folder, **loras)) as engine:
        yield engine


def solo(folder: Path, loras: dict[str, LoraEntry], request: GenerationRequest, *rest: Any) -> Any:
    """diffusers' pipeline, the LoRAs loaded beside its weights."""
    reference = Pipeline(folder)
    for lora in request.loras:
        source = Path(loras[lora.name].source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft's, of several that are there at once
            reference.pipeline.load_lora_weights(
                source.parent, weight_name=source.name, adapter_name=lora.name
            )
    if request.loras:
        reference.pipeline.set_adapters(
            [lora.name for lora in request.loras], [lora.weight for lora in request.loras]
        )
    return reference.draw(request, *rest)


CHOSEN = [("kohya", 0.7), ("unet", -0.5), ("whole", 0.3)]
SETS = [
    [("whole", 1.0)],
    [("whole", -0.6)],
    [("unet", 0.8)],
    [("kohya", 1.5)],
    CHOSEN,
]


@pytest.mark.parametrize(
    ("folder", "chosen"),
    [
        pytest.param(
            folder,
            chosen,
            marks=() if folder == "sd_folder" or chosen == CHOSEN else pytest.mark.exhaustive,
            id=f"{folder}-{chosen}",
        )
        for folder in ("sd_folder", "sdxl_folder")
        for chosen in SETS
    ],
    indirect=["folder"],
)
def test_a_picture_with_loras_is_what_the_pipeline_draws(
    engine: Engine, folder: Path, loras: dict[str, LoraEntry], chosen: list[tuple[str, float]]
) -> None:
    request = asked(*chosen)
    drawn = engine.submit(request).result()
    assert difference(drawn, solo(folder, loras, request)) <= 1
    assert difference(drawn, engine.submit(asked()).result()) > 8, "it changed nothing"


def test_a_varied_picture_has_them_too(engine: Engine, folder: Path, loras: dict[str, LoraEntry]) -> None:
    wish = {"task": Task.IMAGE_TO_IMAGE, "parent_image_id": 1, "strength": 0.6}
    request = asked(("whole", 1.0), **wish)
    assert (
        difference(engine.submit(request, image=noisy()).result(), solo(folder, loras, request, noisy())) <= 1
    )


def test_nobody_else_has_anything_of_them(engine: Engine, folder: Path) -> None:
    with Engine.open(str(folder), device="cpu") as untouched:
        alone = untouched.submit(asked()).result()
    wishes = [asked(("whole", 1.0)), asked(), asked(("unet", 2.0)), asked(("kohya", 1.0), tile=True), asked()]
    futures = [engine.submit(wish) for wish in wishes]
    drawn = [future.result() for future in futures]
    for plain in (drawn[1], drawn[4]):
        assert [image.tobytes() for image in plain] == [image.tobytes() for image in alone]
    for wish, images in zip(wishes, drawn, strict=True):
        assert difference(images, engine.submit(wish).result()) <= 1


def test_a_weight_of_nothing_is_no_lora_to_the_last_bit(engine: Engine) -> None:
    plain, nothing = (engine.submit(asked(*chosen)).result() for chosen in ([], [("whole", 0.0)]))
    assert [image.tobytes() for image in plain] == [image.tobytes() for image in nothing]


def test_a_trigger_is_read_behind_the_prompt_that_lacks_it(folder: Path, loras: dict[str, LoraEntry]) -> None:
    taught = loras["unet"].model_copy(update={"trigger": "in inks"})
    with Engine.open(str(folder), device="cpu", entry=entry(folder, unet=taught)) as engine:
        untyped, typed = (
            engine.submit(asked(("unet", 1.0), prompt=prompt)).result()
            for prompt in ("a cat", "a cat, in inks")
        )
        other = engine.submit(asked(prompt="a cat")).result()
    assert difference(untyped, typed) == 0
    expected = solo(folder, loras, asked(("unet", 1.0), prompt="a cat, in inks"))
    assert difference(untyped, expected) <= 1
    assert difference(untyped, other) > 8


@torch.inference_mode()
def test_projections_fused_for_a_gpu_take_them_as_well(folder: Path, loras: dict[str, LoraEntry]) -> None:
    plain, gpu = (stable_diffusion(loading.load(str(folder), CPU)) for _ in range(2))
    gpu.unet.fuse_qkv_projections()
    chosen = [WeightedLora(loras["unet"], 1.0)]
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    conditions = plain.conditions([plain.prompts["a fox"]] * 2, [], size=(64, 64), guidance_scale=1.0)
    times = torch.full((2,), 500.0)
    untouched, one, other = (
        family.predict(latents, times, conditions)
        for family in (plain, plain.with_loras(chosen), gpu.with_loras(chosen))
    )
    assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(one, untouched, atol=1e-2)


def test_only_so_many_sets_are_kept_and_all_go_when_room_is_needed(
    folder: Path, loras: dict[str, LoraEntry]
) -> None:
    family = stable_diffusion(loading.load(str(folder), CPU))
    prepared = list[object]()
    variants = PatchedModels(family, entry(folder, **loras), prepared.append)
    assert variants.of(asked()) is family
    assert variants.of(asked(("unet", 0.0))) is family
    first = variants.of(asked(("unet", 0.1)))
    assert first is variants.of(asked(("unet", 0.1)))
    assert first.prompts is family.prompts, "it reads no other way"
    assert stable_diffusion(first).vae is family.vae
    assert 0 < variants.size_bytes < family.size_bytes
    assert variants.of(asked(("unet", 1.0), ("whole", 0.5))) is variants.of(
        asked(("whole", 0.5), ("unet", 1.0))
    )
    for number in range(2, 2 + MOST):
        variants.of(asked(("unet", number / 10)))
    assert variants.of(asked(("unet", 0.1))) is not first
    assert variants.size_bytes <= family.size_bytes
    variants.forget()
    assert variants.size_bytes == 0
    assert len(prepared) == MOST + 3


def test_what_cannot_be_used_fails_the_job_with_a_sentence(
    folder: Path, sd_folder: Path, sdxl_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    other = sdxl_folder if folder == sd_folder else sd_folder
    misfit = tiny.make_lora(tmp_path / "misfit.safetensors", other)
    sources = {"gone": tmp_path / "gone.safetensors", "torn": tmp_path / "torn.safetensors", "misfit": misfit}
    entries = {name: LoraEntry(source=str(file)) for name, file in sources.items()}
    with Engine.open(str(folder), device="cpu", entry=entry(folder, **entries)) as engine:
        plain = engine.submit(asked()).result()
        for name, file in sources.items():
            with pytest.raises(CatalogError, match=rf"The LoRA at .*{file.name} cannot be used: ."):
                engine.submit(asked((name, 1.0))).result()
        with pytest.raises(CatalogError, match="no LoRA 'unheard'"):
            engine.submit(asked(("unheard", 1.0))).result()
        assert difference(engine.submit(asked()).result(), plain) == 0


def colours(images: list[PIL.Image.Image]) -> np.ndarray[Any, Any]:
    return np.stack([np.asarray(image, float).mean(axis=(0, 1)) for image in images])


@pytest.mark.exhaustive
def test_picturebook_draws_blueprints() -> None:
    prompts = ("a red castle on green hills", "a boat by the sea at dusk", "a flower in a meadow")
    shipped = catalog.load()["picturebook"]
    wish = {
        "width": 128,
        "height": 128,
        "num_inference_steps": 12,
        "guidance_scale": 4.0,
        "scheduler": "ddim",
    }
    with Engine.open(shipped.source, device="cpu", entry=shipped) as engine:
        blue = []
        for weight in (0.0, 0.5, 1.0):
            drawn: list[PIL.Image.Image] = []
            for prompt in prompts:
                request = asked(("blueprint", weight), prompt=prompt, **wish)
                drawn += engine.submit(request).result()
                if weight == 1.0 and len(drawn) == 2:
                    expected = solo(Path(shipped.source), dict(shipped.loras), request)
                    assert difference(drawn[-2:], expected) <= 1
            means = colours(drawn)
            blue.append(means[:, 2] - means[:, 0])
    none, half, full = blue
    assert (full > 20).all()
    assert full.mean() > none.mean() + 25
    assert none.mean() + 4 < half.mean() < full.mean() - 4
