"""LoRA files: layers and tensors by every spelling of their names, what headers tell, what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from storage.errors import CatalogError
from tests.generator import original_layout
from tests.generator.lora_sums import (
    BLOCK,
    RANK,
    exact,
    full,
    layer_of,
    loaded,
    networks,
    noise,
    outer_sum,
    pipeline_of,
    written,
)


def everywhere(folder: Path) -> dict[tuple[str, str], Tensor]:
    """A difference for each layer of all networks, by part and path."""
    pipeline = pipeline_of(folder)
    torch.manual_seed(0)
    return {
        (part, path): noise(*layer.weight.shape)
        for part in ("unet", "text_encoder", "text_encoder_2")
        if pipeline.components.get(part) is not None
        for path, layer in pipeline.components[part].named_modules()
        if isinstance(getattr(layer, "weight", None), torch.nn.Parameter)
    }


def of_the_first_layout(folder: Path) -> dict[str, str]:
    """Paths of a UNet's layers, by its paths in the layout of the first Stable Diffusion."""
    unet = pipeline_of(folder).unet
    paths = {id(layer): path for path, layer in unet.named_modules()}
    found = {}
    for place, module in original_layout._places(unet):
        names = original_layout._RESNET if hasattr(module, "time_emb_proj") else {}
        for path, layer in module.named_modules():
            if isinstance(getattr(layer, "weight", None), torch.nn.Parameter):
                known = next((old for old in names if path == old), None)
                found[paths[id(layer)]] = f"{place}.{names[known] if known else path}".rstrip(".")
    return found


SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "kohya": {"unet": "lora_unet_", "text_encoder": "lora_te_", "text_encoder_2": "lora_te2_"},
    "kohya's of XL": {"unet": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"},
    "diffusers": {"unet": "unet.", "text_encoder": "text_encoder.", "text_encoder_2": "text_encoder_2."},
    "ComfyUI's": {
        "unet": "diffusion_model.",
        "text_encoder": "text_encoders.clip_l.transformer.",
        "text_encoder_2": "text_encoders.clip_g.transformer.",
    },
    "peft": {"unet": "base_model.model."},
    "SimpleTuner's": {"unet": "lycoris_"},
}


CHOSEN = [
    ("sd_folder", "kohya"),
    ("sd_folder", "peft"),
    ("sdxl_folder", "kohya's of XL"),
    ("sdxl_folder", "diffusers"),
]


@pytest.mark.parametrize("first", [False, True], ids=["diffusers' blocks", "first blocks"])
@pytest.mark.parametrize(
    ("model", "spelling"),
    [
        pytest.param(model, spelling, marks=() if (model, spelling) in CHOSEN else pytest.mark.exhaustive)
        for model in ("sd_folder", "sdxl_folder")
        for spelling in SPELLINGS
    ],
)
def test_every_layer_is_known_by_its_names(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, spelling: str, first: bool
) -> None:
    folder: Path = request.getfixturevalue(model)
    begin, blocks = SPELLINGS[spelling], of_the_first_layout(folder)
    given = everywhere(folder)
    tensors: dict[str, Tensor] = {}
    given = {(part, path): added for (part, path), added in given.items() if part in begin}
    assert {part for part, _ in given} >= {"unet"}
    for (part, path), added in given.items():
        spelled = blocks[path] if first and part == "unet" else path
        if part != "unet":
            spelled = "text_model." + spelled.removeprefix("text_model.")
        flat = spelled.replace(".", "_") if begin[part].endswith("_") else spelled
        tensors[f"{begin[part]}{flat}.diff"] = added
    save_file(tensors, tmp_path / "all.safetensors")
    before, family = loaded(folder, tmp_path / "all.safetensors")
    own = {"unet": family.unet, **dict(zip(("text_encoder", "text_encoder_2"), family.read_by, strict=False))}
    old = {"unet": before.unet, **dict(zip(("text_encoder", "text_encoder_2"), before.read_by, strict=False))}
    for (part, path), added in given.items():
        was, after = (networks[part].get_submodule(path).weight for networks in (old, own))
        assert torch.equal(after, was + added), path


ENDS = {
    "kohya": ("lora_down.weight", "lora_up.weight"),
    "peft": ("lora_A.weight", "lora_B.weight"),
    "an adapter's": ("lora_A.default.weight", "lora_B.default.weight"),
    "diffusers' second": ("lora.down.weight", "lora.up.weight"),
    "diffusers' text": ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_two_factors_are_known_by_their_names(tmp_path: Path, sd_folder: Path, end: str) -> None:
    first, second = ENDS[end]
    path = f"{BLOCK}.transformer_blocks.0.attn1.to_q"
    down, up = noise(RANK, layer_width(sd_folder, path)), noise(layer_width(sd_folder, path), RANK)
    save_file({f"unet.{path}.{first}": down, f"unet.{path}.{second}": up}, tmp_path / "it.safetensors")
    before, family = loaded(sd_folder, tmp_path / "it.safetensors")
    expected = exact(before.unet.get_submodule(path).weight) + outer_sum(up, down)
    np.testing.assert_allclose(exact(family.unet.get_submodule(path).weight), expected, atol=1e-6)


def layer_width(folder: Path, path: str) -> int:
    width: int = pipeline_of(folder).unet.get_submodule(path).weight.shape[0]
    return width


def test_names_of_diffusers_first_versions(tmp_path: Path, sd_folder: Path) -> None:
    attention, layer = f"{BLOCK}.transformer_blocks.0.attn1", "text_model.encoder.layers.0.self_attn"
    width, text = layer_width(sd_folder, f"{attention}.to_q"), 32
    tensors: dict[str, Tensor] = {}
    places = {
        f"unet.{attention}.processor.to_q_lora": width,
        f"{attention}.processor.to_out_lora": width,
        f"text_encoder.{layer}.to_v_lora": text,
        f"text_encoder.{layer}.to_out_lora": text,
    }
    for name, size in places.items():
        tensors |= {f"{name}.down.weight": noise(RANK, size), f"{name}.up.weight": noise(size, RANK)}
    save_file(tensors, tmp_path / "old.safetensors")
    before, family = loaded(sd_folder, tmp_path / "old.safetensors")
    found = [
        ("unet", f"{attention}.to_q"), ("unet", f"{attention}.to_out.0"),
        ("text_encoder", "encoder.layers.0.self_attn.v_proj"),
        ("text_encoder", "encoder.layers.0.self_attn.out_proj"),
    ]  # fmt: skip
    for name, (part, path) in zip(places, found, strict=True):
        added = outer_sum(tensors[f"{name}.up.weight"], tensors[f"{name}.down.weight"])
        was, after = (exact(layer_of(networks(each)[part], path).weight) for each in (before, family))
        np.testing.assert_allclose(after, was + added, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"lora_alpha": 6}, 6 / RANK),
        ({"lora_alpha": 6, "use_rslora": True}, 6 / math.sqrt(RANK)),
        ({"lora_alpha": 6, "alpha_pattern": {"attn1.to_q": 9}}, 9 / RANK),
        ({"lora_alpha": 6, "alpha_pattern": {"attn2.to_q": 9}}, 6 / RANK),
        ({}, 1.0),
    ],
)
def test_a_rank_scale_that_the_header_tells(
    tmp_path: Path, sd_folder: Path, config: dict[str, Any], scale: float
) -> None:
    path = f"{BLOCK}.transformer_blocks.0.attn1.to_q"
    width = layer_width(sd_folder, path)
    down, up = noise(RANK, width), noise(width, RANK)
    told = {f"unet.{key}": value for key, value in config.items()}
    save_file(
        {f"unet.{path}.lora_A.weight": down, f"unet.{path}.lora_B.weight": up},
        tmp_path / "it.safetensors",
        metadata={"lora_adapter_metadata": json.dumps(told)},
    )
    before, family = loaded(sd_folder, tmp_path / "it.safetensors")
    was, after = (exact(each.unet.get_submodule(path).weight) for each in (before, family))
    np.testing.assert_allclose(after, was + scale * outer_sum(up, down), atol=1e-6)


def test_one_layer_under_two_names_takes_both(tmp_path: Path, sd_folder: Path) -> None:
    path = f"{BLOCK}.transformer_blocks.0.attn1.to_q"
    width = layer_width(sd_folder, path)
    first, second = noise(width, width), noise(width, width)
    save_file(
        {f"unet.{path}.diff": first, f"lora_unet_{path.replace('.', '_')}.diff": second},
        tmp_path / "it.safetensors",
    )
    before, family = loaded(sd_folder, tmp_path / "it.safetensors")
    was, after = (each.unet.get_submodule(path).weight for each in (before, family))
    torch.testing.assert_close(after, was + first + second)


QUERY = f"lora_unet_{BLOCK.replace('.', '_')}_transformer_blocks_0_attn1_to_q"


@pytest.mark.parametrize(
    ("tensors", "metadata", "reason"),
    [
        ({"lora_unet_nowhere.diff": noise(4)}, {}, "this model has no place for lora_unet_nowhere"),
        ({name: noise(1) for name in ("a.diff", "b.diff", "c")}, {}, "a and 2 others of its layers"),
        ({f"{QUERY}.oft_blocks": noise(4, 2, 2)}, {}, "does not add the form OFT"),
        ({f"{QUERY}.lora_up.weight": noise(4, 2)}, {}, "knows no kind of LoRA made of up"),
        ({f"{QUERY}.diff": noise(4, 2)}, {}, "made for a layer of 4×2, and this one is"),
        ({f"{QUERY}.lora_up.weight": noise(4, 2), f"{QUERY}.lora_down.weight": noise(3, 4)}, {},
         "do not fit each"),
        ({f"{QUERY}.diff_b": noise(4)}, {}, "a bias that the layer does not have"),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha": torch.tensor(1.0)}, {},
         r"made for Stable Diffusion XL, and this model is Stable Diffusion 1\.x or Stable Diffusion 2\.x\."),
        ({f"{QUERY}.diff": noise(4)}, {"ss_base_model_version": "sdxl_base_v1-0"}, "for Stable Diffusion XL"),
        ({f"{QUERY}.diff": noise(4)}, {"modelspec.architecture": "flux-1-dev/lora"}, "for FLUX.1"),
        ({"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": noise(2, 2)}, {}, "for FLUX"),
        ({f"{QUERY.replace('attn1_to_q', 'attn2_to_k')}.lora_down.weight": noise(2, 2048)},
         {"ss_base_model_version": "sd_v1"}, "a LoRA for Stable Diffusion XL, and the model"),
        ({}, {}, "it holds no weights"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_named(
    tmp_path: Path, sd_folder: Path, tensors: dict[str, Tensor], metadata: dict[str, str], reason: str
) -> None:
    save_file(tensors, tmp_path / "it.safetensors", metadata=metadata or None)
    with pytest.raises(CatalogError, match=rf"The LoRA at .*it\.safetensors cannot be used: .*{reason}"):
        loaded(sd_folder, tmp_path / "it.safetensors")


@pytest.mark.parametrize("told", ["sd_v1", "sd_v2_v"])
def test_one_of_another_family_is_refused_by_xl(tmp_path: Path, sdxl_folder: Path, told: str) -> None:
    metadata = {"ss_base_model_version": told}
    save_file({"unet.conv_in.diff": noise(4)}, tmp_path / "it.safetensors", metadata=metadata)
    with pytest.raises(
        CatalogError, match=r"for Stable Diffusion [12]\.x, and the model is Stable Diffusion XL"
    ):
        loaded(sdxl_folder, tmp_path / "it.safetensors")


def test_a_folders_only_file_is_found(tmp_path: Path, sd_folder: Path) -> None:
    merged = written(tmp_path, sd_folder, full, 1.0)
    assert loaded(sd_folder, merged.file.parent)[1].unet is not None
    (tmp_path / "other.safetensors").write_bytes(b"torn")
    with pytest.raises(CatalogError, match=r"pytorch_lora_weights\.safetensors"):
        loaded(sd_folder, tmp_path)
