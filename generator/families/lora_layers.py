"""Layers of a pipeline's networks by the names under which LoRA files have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

TEXT_ENCODERS = ("text_encoder", "text_encoder_2")

_DOTTED = {
    "unet": (
        *("unet.", "", "unet.base_model.model.", "base_model.model.", "diffusion_model."),
        "model.diffusion_model.",
    ),
    "text_encoder": (
        *("text_encoder.", "text_encoder.base_model.model."),
        *("text_encoders.clip_l.transformer.", "text_encoders.clip_h.transformer."),
    ),
    "text_encoder_2": (
        *("text_encoder_2.", "text_encoder_2.base_model.model."),
        "text_encoders.clip_g.transformer.",
    ),
}
"""Beginnings of names that are a layer's path: diffusers', peft's and ComfyUI's."""

_FLAT = {
    "unet": ("lora_unet_", "lycoris_unet_", "lycoris_"),
    "text_encoder": ("lora_te_", "lora_te1_", "lycoris_text_encoder_", "lycoris_te_"),
    "text_encoder_2": ("lora_te2_", "lycoris_text_encoder_2_"),
}
"""Beginnings of names that are a path in one word: kohya's and LyCORIS'."""

_FUSED = ("to_qkv", "to_kv")
"""Projections that diffusers joins for a GPU, beside those that files know."""

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTSIDE = {
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip
"""Layers outside the blocks: diffusers' name, and the one of the first Stable Diffusion."""


class Layer(NamedTuple):
    part: str
    """Network of the pipeline."""
    path: str


def layers_by_name(pipeline: Any) -> dict[str, Layer]:
    """All layers that have weights, each by every name that a file may have for it."""
    return {
        name: Layer(part, path)
        for part in ("unet", *TEXT_ENCODERS)
        if getattr(pipeline, part, None) is not None
        for path, spellings in _paths(part, getattr(pipeline, part))
        for spelling in spellings
        for name in _names(part, spelling)
    }


def _names(part: str, path: str) -> Iterator[str]:
    flat = path.replace(".", "_")
    yield from (begin + path for begin in _DOTTED[part])
    yield from (begin + flat for begin in _FLAT[part])


def _paths(part: str, network: torch.nn.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Path of each layer, with all its spellings."""
    blocks = _first_names(network) if part == "unet" else {}
    for path, module in network.named_modules():
        if not isinstance(getattr(module, "weight", None), torch.nn.Parameter) or path.endswith(_FUSED):
            continue
        if part == "unet":
            yield path, (path, *_in_first_layout(path, blocks))
        else:
            bare = path.removeprefix("text_model.")
            yield path, (bare, f"text_model.{bare}")


def _in_first_layout(path: str, blocks: dict[str, str]) -> Iterator[str]:
    """The same path in the layout of the first Stable Diffusion, which sd-scripts keeps for XL."""
    if path in _OUTSIDE:
        yield _OUTSIDE[path]
    block = next((begin for begin in blocks if f"{path}.".startswith(f"{begin}.")), None)
    if block is not None:
        rest = path[len(block) + 1 :]
        yield ".".join(filter(None, (blocks[block], _RESNET.get(rest, rest))))


def _first_names(unet: Any) -> dict[str, str]:
    """A UNet's blocks as that layout counts them: diffusers' path of each block, and its number there."""
    found = {}
    number = 0
    for place, block in enumerate(unet.down_blocks):
        for layer in range(len(block.resnets)):
            number += 1
            found[f"down_blocks.{place}.resnets.{layer}"] = f"input_blocks.{number}.0"
            found[f"down_blocks.{place}.attentions.{layer}"] = f"input_blocks.{number}.1"
        if block.downsamplers:
            number += 1
            found[f"down_blocks.{place}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
    found |= {
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    number = -1
    for place, block in enumerate(unet.up_blocks):
        for layer in range(len(block.resnets)):
            number += 1
            found[f"up_blocks.{place}.resnets.{layer}"] = f"output_blocks.{number}.0"
            found[f"up_blocks.{place}.attentions.{layer}"] = f"output_blocks.{number}.1"
        if block.upsamplers:
            behind = 2 if hasattr(block, "attentions") else 1
            found[f"up_blocks.{place}.upsamplers.0"] = f"output_blocks.{number}.{behind}"
    return found
