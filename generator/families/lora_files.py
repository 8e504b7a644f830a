"""LoRA files: their tensors by layer, in all layouts, and the base model that they were made for."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from generator.families.lora_changes import Fields

_SPELLINGS = {
    "up": ("lora_up.weight", "lora_B.weight", "lora_B.default.weight", "lora.up.weight"),
    "down": ("lora_down.weight", "lora_A.weight", "lora_A.default.weight", "lora.down.weight"),
    "mid": ("lora_mid.weight",),
    "bias_up": ("lora_up.bias", "lora_B.bias", "lora_B.default.bias"),
    "alpha": ("alpha",),
    "dora_scale": ("dora_scale",),
    "magnitude": (
        *("lora_magnitude_vector", "lora_magnitude_vector.weight", "lora_magnitude_vector.default.weight"),
        "lora_magnitude_vector.default",
    ),
    **{
        name: (name, f"{name}.weight")
        for name in (
            *("diff", "diff_b", "w_norm", "b_norm", "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
            *("hada_t1", "hada_t2", "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"),
            *("lokr_t1", "lokr_t2"),
        )
    },
}
_FIELDS = {spelling: field for field, spellings in _SPELLINGS.items() for spelling in spellings}
_OF_LAYER = re.compile(rf"(.+)\.({'|'.join(map(re.escape, sorted(_FIELDS, key=len, reverse=True)))})")

_FIRST_LAYOUT = re.compile(
    r"(.+?)(?:\.processor)?\.to_([qkv]|out)(?:_lora|\.lora_linear_layer)\.(up|down)\.weight"
)
_LINEAR_LAYER = re.compile(r"(.+)\.lora_linear_layer\.(up|down)\.weight")
"""Names of diffusers' first versions."""


def by_layer(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, Fields]:
    """Tensors of each layer, by its name in the file and what they are. A tensor that is nothing known is a
    layer's of its own name, without any field.
    """
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        layer, field = _parted(name)
        if field == "magnitude":
            field, tensor = "dora_scale", tensor.flatten()  # peft's is always by output
        found[layer][field] = tensor
    for layer, alpha in _configured(found, metadata).items():
        found[layer].setdefault("alpha", torch.tensor(alpha))
    return dict(found)


def _parted(name: str) -> tuple[str, str]:
    """A tensor's name as its layer's and what it is there; that is nothing where it is unknown."""
    if match := _FIRST_LAYOUT.fullmatch(name):
        within, side, field = match.groups()
        if within.endswith(".self_attn"):
            return f"{within}.{side}_proj", field
        return f"{within}.to_{'out.0' if side == 'out' else side}", field
    if match := _LINEAR_LAYER.fullmatch(name):
        return match[1], match[2]
    if match := _OF_LAYER.fullmatch(name):
        return match[1], _FIELDS[match[2]]
    return name, ""


def _configured(layers: Mapping[str, Fields], metadata: Mapping[str, str]) -> dict[str, float]:
    """`alpha` of each layer where diffusers wrote peft's configuration into the file."""
    try:
        told = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    except ValueError:
        return {}
    return {
        layer: alpha
        for layer, fields in layers.items()
        if "down" in fields and (alpha := _alpha(told, layer, len(fields["down"]))) is not None
    }


def _alpha(told: Mapping[str, Any], layer: str, rank: int) -> float | None:
    part, _, path = layer.partition(".")
    alpha = told.get(f"{part}.lora_alpha")
    if alpha is None:
        return None
    for pattern, own in (told.get(f"{part}.alpha_pattern") or {}).items():
        if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", path):
            alpha = own
    return float(alpha) * (math.sqrt(rank) if told.get(f"{part}.use_rslora") else 1.0)


SD_1, SD_2, XL = "Stable Diffusion 1.x", "Stable Diffusion 2.x", "Stable Diffusion XL"
WIDTHS = {768: SD_1, 1024: SD_2, 2048: XL}
"""Numbers that a UNet's cross-attention reads of each token, and the base model whose they are."""

_READS = re.compile(r"attn2[._]to_[kv]$")
_INPUTS = ("down", "hada_w1_b", "diff")
"""Tensors whose second dimension is the layer's inputs."""

_NAMED = {
    r"double_blocks|single_blocks|single_transformer_blocks": "FLUX",
    r"joint_blocks": "Stable Diffusion 3",
    r"lora_te2_|text_encoder_2\.": XL,
}
"""Parts of layers' names that one base model alone has."""

_TOLD = {
    "sd_v1": SD_1, "stable-diffusion-v1": SD_1, "sd_v2": SD_2, "stable-diffusion-v2": SD_2,
    "sdxl": XL, "stable-diffusion-xl": XL, "flux": "FLUX",
    "sd3": "Stable Diffusion 3", "stable-diffusion-3": "Stable Diffusion 3",
}  # fmt: skip
"""Beginnings of what kohya's and Stability's metadata say, and the base model that is meant."""


def base_of(layers: Mapping[str, Fields], metadata: Mapping[str, str]) -> str | None:
    """The base model that a file was made for, by its layers or else by what it says, where either tells."""
    for pattern, base in _NAMED.items():
        if any(re.search(pattern, layer) for layer in layers):
            return base
    for layer, fields in layers.items():
        for name in _INPUTS:
            if name in fields and fields[name].dim() > 1 and _READS.search(layer):
                return WIDTHS.get(fields[name].shape[1]) or _told(metadata)
    return _told(metadata)


def _told(metadata: Mapping[str, str]) -> str | None:
    said = [metadata.get(key, "").casefold() for key in ("ss_base_model_version", "modelspec.architecture")]
    return next((base for begin, base in _TOLD.items() if any(each.startswith(begin) for each in said)), None)
