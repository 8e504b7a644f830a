"""Control networks from folders, single files and Hugging Face ids, and if they fit a model."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, T2IAdapter
from torch import Tensor

from generator import pretrained
from generator.families.auxiliary import reading
from generator.families.sources import is_single_file

Weights = Mapping[str, Tensor]

_KINDS: Mapping[str, Any] = {"ControlNetModel": ControlNetModel, "T2IAdapter": T2IAdapter}

_OTHERS: Mapping[str, str] = {
    r"task_embedding$|control_type_proj\.|control_add_embedding\.": "a ControlNet Union",
    r"lora_controlnet$": "a Control-LoRA",
    r"lllite_": "a ControlNet-LLLite",
    r"(adapter\.)?body\.\d": "a T2I-Adapter, which Easel takes as a diffusers folder",
    r"control_(all_)?x_embedder|controlnet_x_embedder|control_layers\.|(single_)?transformer_blocks\."
    r"|double_blocks\.": "a control of a diffusion transformer",
}
"""Beginnings of keys by which other single files are known, as regular expressions."""

_BASES: Mapping[int, str] = {
    768: "Stable Diffusion 1.x",
    1024: "Stable Diffusion 2.x",
    2048: "Stable Diffusion XL",
}
"""Models by the width of the words that their UNets read."""


def load(source: str, unet: Any, dtype: torch.dtype, *, pooled: bool | None) -> Any:
    """A `ControlNetModel` or `T2IAdapter` that fits the UNet.

    `pooled` is what a catalog says of its `global_pool_conditions`, if anything.

    Raises:
        CatalogError: it cannot be loaded, is of another kind, or was made for another model; the text names
            the source and the reason.
    """
    with reading("control network", source):
        if is_single_file(source):
            network = _of_file(source, unet.config, dtype)
            pooled = "shuffle" in Path(source).name.lower() if pooled is None else pooled
        else:
            network = _of_folder(source, unet.config, dtype)
    if pooled is not None and isinstance(network, ControlNetModel):
        network.register_to_config(global_pool_conditions=pooled)
    return network


def _of_folder(source: str, unet: Mapping[str, Any], dtype: torch.dtype) -> Any:
    config = pretrained.configuration(ControlNetModel, source, "")
    kind = config.get("_class_name", "ControlNetModel")
    if kind not in _KINDS:
        raise ValueError(f"it is a {kind}, and Easel is led by {' and '.join(_KINDS)} alone.")
    if kind == "T2IAdapter":
        _check_blocks(config, unet)
    elif config:  # else its loader says what is missing
        _check_base(config, unet)
    return pretrained.diffusers_network(_KINDS[kind], source, torch_dtype=dtype)


def _check_base(control: Mapping[str, Any], unet: Mapping[str, Any]) -> None:
    made, wanted = control.get("cross_attention_dim"), unet["cross_attention_dim"]
    if made != wanted:
        raise ValueError(f"it was made for {_base(made)}, and the model is {_base(wanted)}.")
    alike = ("addition_embed_type", "projection_class_embeddings_input_dim", "block_out_channels")
    for key in alike:
        if _plain(control.get(key)) != _plain(unet.get(key)):
            raise ValueError(
                f"it was made for another model: its {key} is {control.get(key)}, that of the model"
                f" {unet.get(key)}."
            )


def _base(width: Any) -> str:
    return _BASES.get(width, f"a model of words {width} wide")


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _check_blocks(adapter: Mapping[str, Any], unet: Mapping[str, Any]) -> None:
    """A T2I-Adapter reads no words: it is known by the channels of the blocks that it adds to."""
    for_xl = adapter.get("adapter_type") == "full_adapter_xl"
    is_xl = unet.get("addition_embed_type") == "text_time"
    blocks = zip(adapter.get("channels", ()), unet["block_out_channels"], strict=False)
    if for_xl != is_xl or any(ours != theirs for ours, theirs in blocks):
        made = "XL" if for_xl else "1.x or 2.x"
        raise ValueError(
            f"it is a T2I-Adapter for Stable Diffusion {made}, or for other blocks than the model has."
        )


def _of_file(source: str, unet: Mapping[str, Any], dtype: torch.dtype) -> Any:
    given = pretrained.weights(source)
    _check_kind(given)
    weights = pretrained.control_weights(given, unet["layers_per_block"])
    _check_base(_told(weights, unet), unet)
    with torch.device("meta"):
        network = ControlNetModel.from_config(_config(weights, unet))
    own = network.state_dict()
    for key in sorted(own.keys() | weights.keys()):
        if key not in own or key not in weights or own[key].shape != weights[key].shape:
            raise ValueError(f"it was made for another model: its {key} does not fit.")
    network.load_state_dict(weights, assign=True)
    return network.to(dtype)


def _check_kind(weights: Weights) -> None:
    for beginning, kind in _OTHERS.items():
        if any(re.match(beginning, key) for key in weights):
            raise ValueError(f"it is {kind}, and no ControlNet of Stable Diffusion.")
    if not any(key.endswith(("time_embed.0.weight", "time_embedding.linear_1.weight")) for key in weights):
        raise ValueError("it is no ControlNet.")
    if not any(key.startswith(("controlnet_", "control_model.", "input_hint_block.")) for key in weights):
        raise ValueError("it is a whole model, and no ControlNet.")


def _told(weights: Weights, unet: Mapping[str, Any]) -> dict[str, Any]:
    """The part of its configuration by which the model is known that it was made for."""
    words = next((each for key, each in weights.items() if key.endswith("attn2.to_k.weight")), None)
    added = weights.get("add_embedding.linear_1.weight")
    return {
        "cross_attention_dim": unet["cross_attention_dim"] if words is None else words.shape[1],
        "addition_embed_type": None if added is None else "text_time",
        "projection_class_embeddings_input_dim": None if added is None else added.shape[1],
        "block_out_channels": unet["block_out_channels"],
    }


def _config(weights: Weights, unet: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own, but for what the weights tell: smaller networks for XL leave attentions out."""
    accepted = inspect.signature(ControlNetModel.__init__).parameters
    blocks = range(len(unet["block_out_channels"]))
    attends = [any(key.startswith(f"down_blocks.{block}.attentions.") for key in weights) for block in blocks]
    middle = any(key.startswith("mid_block.attentions.") for key in weights)
    first = weights["controlnet_cond_embedding.conv_in.weight"]
    return {
        **{name: unet[name] for name in accepted if name in unet},
        "in_channels": weights["conv_in.weight"].shape[1],
        # Those of a UNet that reads pictures beside the words.
        "encoder_hid_dim": None,
        "encoder_hid_dim_type": None,
        "down_block_types": ["CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": [_depth(weights, block) for block in blocks],
        "conditioning_channels": first.shape[1],
        "conditioning_embedding_out_channels": [first.shape[0], *_widths(weights)],
    }


def _depth(weights: Weights, block: int) -> int:
    """Transformer layers of a block's attentions; 1, which nobody asks for, of a block without."""
    pattern = re.compile(rf"down_blocks\.{block}\.attentions\.0\.transformer_blocks\.(\d+)\.")
    found = [int(match[1]) for key in weights if (match := pattern.match(key))]
    return max(found, default=0) + 1


def _widths(weights: Weights) -> list[int]:
    """Channels of what a picture is made of on its way to the size of latents, from the second on."""
    name = "controlnet_cond_embedding.blocks.{}.weight"
    halves = range(1, sum("controlnet_cond_embedding.blocks." in key for key in weights), 2)
    return [weights[name.format(half)].shape[0] for half in halves if name.format(half) in weights]
