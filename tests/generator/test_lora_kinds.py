"""Every kind of LoRA: merged as sums by hand merge it, in float32, to weights of any precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from generator.engine.engine import Engine
from generator.families.base import WeightedLora
from generator.families.sd import StableDiffusion
from storage.catalog_companions import LoraEntry
from storage.catalog_files import ModelFiles
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Lora
from tests.generator.lora_sums import (
    BEGIN,
    CONVOLUTIONS,
    CPU,
    EVERYWHERE,
    LINEAR,
    NORMS,
    OF_KERNELS,
    Kind,
    dora_by_input,
    exact,
    full,
    layer_of,
    loaded,
    loha,
    lokr_of_a_product,
    lora,
    mixed,
    networks,
    noise,
    plain,
    written,
)
from tests.generator.reference import Pipeline, difference


@pytest.mark.parametrize("kind", [*EVERYWHERE, *OF_KERNELS, mixed], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("strength", [1.0, pytest.param(-0.7, marks=pytest.mark.exhaustive)])
def test_a_file_of_each_kind_is_merged_as_by_hand(
    tmp_path: Path, sd_folder: Path, kind: Kind, strength: float
) -> None:
    merged = written(tmp_path, sd_folder, kind, strength)
    before, family = loaded(sd_folder, merged.file, strength)
    for (part, path), expected in merged.by_hand.items():
        own = layer_of(networks(family)[part], path).weight
        old = layer_of(networks(before)[part], path).weight
        np.testing.assert_allclose(exact(own), expected, atol=2e-6)
        assert np.abs(exact(old) - expected).max() > 0.01, "it changes hardly anything"
    changed = {id(layer_of(networks(family)[part], path).weight) for part, path in merged.by_hand}
    known = {id(weight) for network in networks(before).values() for weight in network.parameters()}
    for network in networks(family).values():
        assert all(id(weight) in known | changed for weight in network.parameters()), "the rest is shared"


@pytest.mark.parametrize(
    "kind", [lora, loha, lokr_of_a_product, full, dora_by_input], ids=lambda kind: kind.__name__
)
def test_a_picture_is_that_of_the_merged_weights(tmp_path: Path, sd_folder: Path, kind: Kind) -> None:
    merged = written(tmp_path, sd_folder, kind, 0.8)
    reference = Pipeline(sd_folder)
    for (part, path), weights in merged.by_hand.items():
        with torch.no_grad():
            layer_of(reference.pipeline.components[part], path).weight.copy_(torch.from_numpy(weights))
    drawn, plain = (drawn_with(sd_folder, merged.file, weight) for weight in (0.8, 0.0))
    assert difference(drawn, reference.draw(asked(0.8))) <= 1
    assert difference(drawn, plain) > 8


def test_dora_of_peft_is_drawn_as_peft_draws_it(tmp_path: Path, sd_folder: Path) -> None:
    reference = Pipeline(sd_folder)
    unet = reference.pipeline.unet
    torch.manual_seed(0)
    unet.add_adapter(
        LoraConfig(
            r=4, lora_alpha=8, init_lora_weights=False, use_dora=True, target_modules=["to_q", "conv1"]
        )
    )
    weights = get_peft_model_state_dict(unet)
    lengths = [weight for name, weight in weights.items() if "magnitude" in name]
    assert lengths
    for weight in lengths:
        weight.mul_(1 + 0.5 * torch.rand_like(weight))
    told = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8, "unet.use_dora": True})}
    file = tmp_path / "dora.safetensors"
    save_file({f"unet.{name}": weight.contiguous() for name, weight in weights.items()}, file, metadata=told)
    drawn, plain = (drawn_with(sd_folder, file, weight) for weight in (1.0, 0.0))
    assert difference(drawn, reference.draw(asked(1.0))) <= 1
    assert difference(drawn, plain) > 8


def asked(weight: float) -> GenerationRequest:
    return GenerationRequest(
        prompt="a cat", width=64, height=64, seed=7, num_inference_steps=3, num_images_per_prompt=1,
        loras=(Lora(name="it", weight=weight),),
    )  # fmt: skip


def drawn_with(folder: Path, file: Path, weight: float) -> list[Any]:
    entry = ModelEntry(
        name="m", title="M", source=str(folder), sizes=((64, 64),), loras={"it": LoraEntry(source=str(file))}
    )
    with Engine.open(str(folder), device="cpu", entry=entry) as engine:
        return engine.submit(asked(weight)).result()


def test_norms_and_biases_are_added_to_the_last_bit(tmp_path: Path, sd_folder: Path) -> None:
    torch.manual_seed(1)
    tensors, expected = dict[str, Tensor](), []
    for part, path in [*NORMS, CONVOLUTIONS[1], LINEAR[-1]]:
        layer = layer_of(networks(plain(sd_folder))[part], path)
        names = ("w_norm", "b_norm") if (part, path) in NORMS else ("diff", "diff_b")
        for name, weight in zip(names, (layer.weight, layer.bias), strict=True):
            tensors[f"{BEGIN[part]}{path.replace('.', '_')}.{name}"] = noise(*weight.shape)
        added = list(tensors.values())[-2:]
        expected.append((part, path, layer.weight + 0.5 * added[0], layer.bias + 0.5 * added[1]))
    save_file(tensors, tmp_path / "norms.safetensors")
    save_file(
        {
            name: noise(*tensor.shape)
            for name, tensor in tensors.items()
            if "diff" not in name and "w_" in name
        },
        tmp_path / "nothing.safetensors",
    )
    chosen = [LoraEntry(source=str(tmp_path / f"{name}.safetensors")) for name in ("norms", "nothing")]
    family = plain(sd_folder).with_loras([WeightedLora(chosen[0], 0.5), WeightedLora(chosen[1], 0.0)])
    for part, path, weight, bias in expected:
        layer = layer_of(networks(family)[part], path)
        assert torch.equal(layer.weight, weight)
        assert torch.equal(layer.bias, bias)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn], ids=str)
def test_a_file_of_any_precision_counts_in_float32(
    tmp_path: Path, sd_folder: Path, dtype: torch.dtype
) -> None:
    merged = written(tmp_path, sd_folder, full, 1.0, dtype=dtype)
    before, family = loaded(sd_folder, merged.file)
    with safe_open(merged.file, framework="pt") as opened:
        for part, path in merged.by_hand:
            stored = opened.get_tensor(f"{BEGIN[part]}{path.replace('.', '_')}.diff")
            assert stored.dtype == dtype
            old, own = (layer_of(networks(each)[part], path).weight for each in (before, family))
            assert torch.equal(own, old + stored.float())


def test_several_are_added_in_float32_and_rounded_once(tmp_path: Path, sd_folder: Path) -> None:
    half = StableDiffusion.load(ModelFiles(source=str(sd_folder)), CPU, torch.float16)
    part, path = LINEAR[0]
    weight = layer_of(half.unet, path).weight
    small = torch.full(weight.shape, 2e-5)
    save_file({f"{BEGIN[part]}{path.replace('.', '_')}.diff": small}, tmp_path / "small.safetensors")
    lora = WeightedLora(LoraEntry(source=str(tmp_path / "small.safetensors")), 1.0)
    family = half.with_loras([lora] * 8)
    expected = (weight.float() + 8 * small).half()
    own = layer_of(family.unet, path).weight
    assert own.dtype == torch.float16
    assert torch.equal(own, expected)
    one_by_one = weight.clone()
    for _ in range(8):
        one_by_one = one_by_one + small.half()
    assert not torch.equal(own, one_by_one), "rounding eight times would have come to the same"
