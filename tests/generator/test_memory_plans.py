"""Measures of a memory plan: that they are taken, and what they do to a picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers.hooks.hooks import HookRegistry
from torch import Tensor

from generator.engine.device_thread import DeviceThread
from generator.engine.engine import Engine
from generator.families import loading
from generator.families.base import Family, WeightedLora
from generator.families.sd import StableDiffusion
from generator.memory import fits, needs, placement, quantization
from generator.memory.fits import Device
from generator.memory.plan import PLAIN, MemoryPlan, Storage
from generator.worker.models import Models
from storage import catalog
from storage.catalog_companions import LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Role
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.sharing import drawn_together

CPU = torch.device("cpu")
REQUEST = GenerationRequest(
    prompt="a fox", negative_prompt="fog", width=64, height=64, seed=5, num_inference_steps=3
)
LOW = MemoryPlan(
    fused=False,
    companions_leave=True,
    text_encoders_leave=True,
    variants_leave=True,
    rows=4,
    largest=64,
    sliced_decoding=True,
)
EXACT = {
    "text encoders": MemoryPlan(text_encoders_leave=True),
    "turns": MemoryPlan(variants_leave=True),
    "half grids": MemoryPlan(rows=4, largest=64),
    "single rows": MemoryPlan(rows=1, largest=64),
    "sliced": MemoryPlan(sliced_decoding=True),
    "group offload": replace(LOW, group_offload=True),
}


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def folder(request: pytest.FixtureRequest, sd_folder: Path, sdxl_folder: Path) -> Path:
    return {"sd": sd_folder, "sdxl": sdxl_folder}[request.param]


@pytest.fixture(scope="module")
def plain(folder: Path) -> Family:
    return loading.load(str(folder), CPU)


@pytest.fixture(scope="module")
def whole(plain: Family) -> Tensor:
    """What is drawn with all the memory of the world."""
    return drawn(plain)


def drawn(family: Family, request: GenerationRequest = REQUEST) -> Tensor:
    (pixels,) = drawn_together(family, request)
    return pixels


def planned(folder: Path, plan: MemoryPlan) -> StableDiffusion:
    family = loading.load(str(folder), CPU, plan=plan)
    assert isinstance(family, StableDiffusion)
    return family


def decibels(one: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio."""
    error = float((one - other).square().mean())
    return 10 * math.log10(4 / error) if error else math.inf


def steps_of(one: Tensor, other: Tensor) -> float:
    """The largest difference, of 255."""
    return float((one - other).abs().max()) * 255 / 2


@pytest.mark.parametrize("measure", EXACT)
def test_a_picture_is_the_same_whatever_leaves_the_device(folder: Path, whole: Tensor, measure: str) -> None:
    assert steps_of(drawn(planned(folder, EXACT[measure])), whole) < 1


SMALLER: list[Storage] = [
    "fp8",
    *(kind for kind, library in quantization.LIBRARIES.items() if find_spec(library) is not None),
]
HOUSE = REQUEST.changed(
    prompt="a red house on a hill", width=128, height=128, num_inference_steps=12, scheduler="dpm++2m"
)


@pytest.fixture(scope="module")
def house(picturebook_folder: Path) -> Tensor:
    """A picture of a model that was trained, by all of its numbers."""
    return drawn(planned(picturebook_folder, PLAIN), HOUSE)


@pytest.mark.exhaustive
@pytest.mark.parametrize("storage", SMALLER)
def test_smaller_weights_draw_nearly_the_same(
    picturebook_folder: Path, house: Tensor, storage: Storage
) -> None:
    family = planned(picturebook_folder, MemoryPlan(storage=storage))
    assert family.size_bytes < 0.8 * planned(picturebook_folder, PLAIN).size_bytes
    near = decibels(drawn(family, HOUSE), house)
    assert 18 < near < 60, "it is another picture, or nothing was made smaller"


def test_rows_and_decoded_pictures_are_as_few_as_the_plan_says(sd_folder: Path) -> None:
    family = planned(sd_folder, LOW)
    rows, decoded = [], []
    family.unet.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    family.vae.decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(len(inputs[0])))
    with closing(Engine(family, DeviceThread(CPU))) as engine:
        assert len(engine.submit(REQUEST).result()) == 4
    assert set(rows) == {4}
    assert set(decoded) == {1}


def test_text_encoders_come_for_each_prompt_and_leave(
    sdxl_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = planned(sdxl_folder, MemoryPlan(text_encoders_leave=True))
    moves: list[tuple[str, str]] = []
    for place, encoder in enumerate(family.read_by):
        moved = encoder.to

        def to(where: Any, place: int = place, moved: Any = moved) -> Any:
            moves.append((f"encoder {place}", "leaves" if where is placement.MAIN else "comes"))
            return moved(where)

        monkeypatch.setattr(encoder, "to", to)
    family.encode(["a fox"])
    assert moves == [
        ("encoder 0", "comes"),
        ("encoder 0", "leaves"),
        ("encoder 1", "comes"),
        ("encoder 1", "leaves"),
    ]


def test_a_text_encoder_leaves_even_when_it_fails() -> None:
    class Broken(torch.nn.Linear):
        def forward(self, _: Tensor) -> Tensor:
            raise ArithmeticError

    moves = []
    network = placement.Placement(CPU, torch.float32, MemoryPlan(text_encoders_leave=True)).text_encoder(
        Broken(2, 2)
    )
    network.to = lambda where: moves.append(where)  # type: ignore[assignment,method-assign]
    with pytest.raises(ArithmeticError):
        network(torch.zeros(1, 2))
    assert moves == [CPU, placement.MAIN]


def test_every_layer_of_an_offloaded_unet_comes_by_itself(sd_folder: Path) -> None:
    family = planned(sd_folder, replace(LOW, group_offload=True))
    leaves = [
        layer for layer in family.unet.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)
    ]
    hooks = [
        HookRegistry.check_if_exists_or_initialize(layer).get_hook("group_offloading") for layer in leaves
    ]
    assert leaves
    assert all(hooks)


def test_large_pictures_are_decoded_in_tiles(
    picturebook_folder: Path, monkeypatch: pytest.MonkeyPatch, house: Tensor
) -> None:
    monkeypatch.setattr(placement, "TILE", 64)
    family = planned(picturebook_folder, MemoryPlan(tiled_decoding=True))
    sides = []
    family.vae.decoder.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    near = decibels(drawn(family, HOUSE), house)
    assert max(sides) == 64 // family.latent_scale
    assert 25 < near < 60, "a seam shows, or nothing was decoded in tiles"


def test_a_tile_that_repeats_is_never_cut_into_others(
    sd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = REQUEST.changed(tile=True)
    (expected,) = drawn_together(planned(sd_folder, PLAIN).tiling(), request)
    monkeypatch.setattr(placement, "TILE", 32)
    (pixels,) = drawn_together(planned(sd_folder, MemoryPlan(tiled_decoding=True)).tiling(), request)
    assert steps_of(pixels, expected) < 1


WATCHED: dict[str, MemoryPlan] = {
    "offload": replace(LOW, group_offload=True),
    "turns": MemoryPlan(variants_leave=True),
    **{storage: MemoryPlan(storage=storage) for storage in SMALLER},
}


@pytest.mark.parametrize("plan", WATCHED.values(), ids=WATCHED)
def test_loras_are_added_to_a_model_whose_layers_are_watched(
    sd_folder: Path, tmp_path: Path, plan: MemoryPlan
) -> None:
    lora = WeightedLora(LoraEntry(source=str(tiny.make_lora(tmp_path / "lora.safetensors", sd_folder))), 0.8)
    expected = drawn(planned(sd_folder, PLAIN).with_loras([lora]))
    family = planned(sd_folder, plan)
    before = drawn(family)
    patched = family.with_loras([lora])
    near = decibels(drawn(patched), expected)
    assert near > (60 if plan.storage == "own" else 15)
    assert decibels(before, expected) < near
    assert torch.equal(drawn(family), before), "the model itself is as it was"
    shared = {id(weight) for weight in family.unet.parameters()}
    kept = [id(weight) in shared for weight in patched.unet.parameters()]
    assert any(kept), "what the LoRA leaves alone is shared"
    assert not all(kept)


STEERED: dict[str, dict[str, Any]] = {
    "adapter": {"references": [{"role": "style", "keys": ["picture"]}]},
    "tiled control": {"control": {"kind": "whole", "key": "picture"}, "tile": True},
}


@pytest.mark.parametrize("plan", WATCHED.values(), ids=WATCHED)
@pytest.mark.parametrize("wish", STEERED)
def test_a_model_whose_layers_are_watched_is_steered(
    sd_folder: Path, tmp_path: Path, plan: MemoryPlan, wish: str
) -> None:
    entry = tiny.make_steered(tmp_path, sd_folder)
    request = GenerationRequest.model_validate(REQUEST.model_dump() | STEERED[wish])
    plain, steered = (with_pictures(planned(sd_folder, each), entry, request) for each in (PLAIN, plan))
    assert decibels(steered, plain) > (60 if plan.storage == "own" else 15)


def with_pictures(family: StableDiffusion, entry: ModelEntry, request: GenerationRequest) -> Tensor:
    """The first of its images in −1…1, led by a picture and reading it."""
    picture = PIL.Image.radial_gradient("L").resize((64, 64)).convert("RGB")
    with closing(Engine(family, DeviceThread(CPU), entry)) as engine:
        (image, *_) = engine.submit(request, control=picture, references={Role.STYLE: [picture]}).result()
    return torch.from_numpy(np.asarray(image) / 127.5 - 1)


def test_variants_take_turns_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Precisions stand for places here: float64 is the device, float32 main memory."""
    monkeypatch.setattr(placement, "MAIN", torch.float32)
    turns = placement._Turns(torch.float64)  # type: ignore[arg-type]
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    second.bias = first.bias
    places = []
    for network in (first, second, second, first):
        turns(network)
        places.append([weight.dtype is torch.float64 for weight in (first.weight, first.bias, second.weight)])
    assert places == [[True, True, False], [False, True, True], [False, True, True], [True, True, False]]


def test_a_companion_that_waits_in_main_memory_comes_when_it_is_called(
    tmp_path: Path, sd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = catalog.load(tiny.catalog(tmp_path, {"a": sd_folder}, memory="low"))
    visits: list[object] = []
    monkeypatch.setattr("generator.families.auxiliary.visiting", _noting(visits))
    with closing(Models(listed, "cpu")) as models:
        (image, *_) = models.engine("a").submit(REQUEST).result()
        assert not visits
        models.safety("a").check([image])
    assert len(visits) == 1


def _noting(visits: list[object]) -> Callable[..., Any]:
    def visiting(network: torch.nn.Module, device: torch.device) -> Any:
        visits.append(network)
        return placement.visiting(network, device)

    return visiting


@pytest.mark.parametrize(("storage", "library"), quantization.LIBRARIES.items())
def test_a_missing_library_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, storage: Storage, library: str
) -> None:
    monkeypatch.setattr(quantization, "find_spec", lambda _: None)
    with pytest.raises(CatalogError, match=rf"{library}.*pip install 'easel-discord\[quantized\]'"):
        quantization.check(storage)


def test_what_is_watched_is_not_compiled() -> None:
    assert not LOW.hooked
    assert replace(LOW, group_offload=True).hooked
    assert MemoryPlan(storage="fp8").hooked


def test_a_limit_is_kept_by_measures_that_change_no_picture(
    tmp_path: Path, sd_folder: Path, upscaler_folder: Path
) -> None:
    """From what takes all to what takes least: each plan is drawn by, and nobody sees it."""
    listed = catalog.load(tiny.catalog(tmp_path, {"a": sd_folder}, upscaler=upscaler_folder))
    entry = listed["a"]
    wanted = needs.of_entry(entry)
    assert wanted is not None
    roomy = fits.chosen(entry, wanted, Device(2**40, 4, gpu=False)).peak
    plans, pictures = set(), set()
    for saved in (0, 20_000, 10_450_000, 10_700_000):
        limit = (roomy - saved + fits.RESERVED) / fits.GIB
        with closing(Models(listed, "cpu", memory_limit=limit)) as models:
            engine = models.engine("a")
            (image, *_) = engine.submit(REQUEST).result()
            models.upscaler("a")
            models.safety("a").check([image])
            plans.add(engine.family.plan)
            pictures.add(image.tobytes())
    assert len(plans) == 4
    assert len(pictures) == 1
