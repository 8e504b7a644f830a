"""A few steps of training what is added to the model: written in the layouts in which workers load it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPVisionModelWithProjection, VisionEncoderDecoderModel

from generator.conditioning.control_maps import edges
from generator.engine.engine import Engine
from picturebook import adapter_training, control_training, lora_training
from picturebook.adapter_training import ROLES, reference, train_adapter
from picturebook.blueprint import blueprint
from picturebook.captions import partial_caption
from picturebook.control_training import train_control
from picturebook.image_encoder_training import train_image_encoder
from picturebook.lora_training import train_lora
from picturebook.scenes import Scene, draw
from picturebook.train import HERE, exported
from storage import catalog
from storage.catalog_companions import AdapterEntry, ControlEntry, LoraEntry
from storage.contract import Control, GenerationRequest, Lora, Reference, Role

STEPS = 2
PICTURE = draw(Scene("castle", "red", "hills", "day", "clear", "illustration", seed=3))


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (adapter_training, control_training, lora_training):
        monkeypatch.setattr(module, "SCENES", 64)


def parts() -> tuple[AutoencoderKL, CLIPTextModel, UNet2DConditionModel]:
    text_encoder = exported(CLIPTextModel, "text_encoder").eval()
    return exported(AutoencoderKL, "vae").eval(), text_encoder, exported(UNet2DConditionModel, "unet")


def drawn(changes: dict[str, Any], **overrides: Any) -> np.ndarray[Any, Any]:
    """A picture by the shipped model with these fields of its entry."""
    entry = catalog.load()["picturebook"].model_copy(update=changes)
    fields = {"prompt": "a boat", "width": 128, "height": 128, "seed": 1, "num_images_per_prompt": 1}
    request = GenerationRequest.model_validate(fields | {"num_inference_steps": 3} | overrides)
    with Engine.open(entry.source, device="cpu", entry=entry) as engine:
        references = {reference.role: [PICTURE] for reference in request.references}
        image = engine.submit(request, control=PICTURE, references=references).result()[0]
    return np.asarray(image, float)


def test_a_control(tmp_path: Path) -> None:
    folder = tmp_path / "edges"
    train_control(*parts(), edges, tmp_path / "work", folder, STEPS, batch=2)
    train_control(*parts(), edges, tmp_path / "work", folder, STEPS + 1, batch=2)
    controls = {"edges": ControlEntry(source=str(folder), reads="edges")}
    led = drawn({"controls": controls}, control=Control(kind="edges", key="k"))
    assert 0 < np.abs(led - drawn({})).mean() < 20, "three steps from changing nothing"


@pytest.mark.exhaustive
@pytest.mark.parametrize("role", list(Role))
def test_an_adapter(tmp_path: Path, role: Role) -> None:
    describer = VisionEncoderDecoderModel.from_pretrained(HERE / "describer", torch_dtype=torch.float32)
    folder = tmp_path / "encoder"
    train_image_encoder(describer, tmp_path / "seeing", folder, STEPS, batch=4)
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder, torch_dtype=torch.float32).eval()
    file = tmp_path / "adapters" / "one.safetensors"
    train_adapter((*parts(), encoder), role, tmp_path / "work", file, STEPS, batch=2)
    adapters = {role: AdapterEntry(source=str(file), image_encoder=str(folder))}
    read = drawn({"adapters": adapters}, references=(Reference(role=role, keys=("k",)),))
    assert np.abs(read - drawn({})).mean() > 0


@pytest.mark.exhaustive
def test_a_lora(tmp_path: Path) -> None:
    file = tmp_path / "loras" / "one.safetensors"
    train_lora(*parts(), blueprint, tmp_path / "work", file, STEPS, batch=2)
    changed = drawn({"loras": {"one": LoraEntry(source=str(file))}}, loras=(Lora(name="one"),))
    assert np.abs(changed - drawn({})).mean() > 0


def test_what_a_picture_shows_is_not_said() -> None:
    """Each role's caption and picture together say no attribute twice, but for the subject's noun."""
    rng = random.Random(4)
    for role in ROLES:
        for _ in range(200):
            named, shown = ROLES[role](rng)
            assert (named & shown) <= ({"subject"} if role == "subject" else set())
            scene = Scene("cat", "blue", "snow", "night", "moon", "oil", seed=rng.randrange(999))
            other = reference(scene, shown, rng)
            assert all(getattr(other, name) == getattr(scene, name) for name in shown)
            caption = partial_caption(scene, named, rng)
            assert bool(caption) == bool(named - {"colour"} or "subject" in named)
            assert ("cat" in caption or "kit" in caption) == ("subject" in named)
