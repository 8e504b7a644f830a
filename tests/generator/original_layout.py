"""Diffusers folders rewritten as what is passed around: one file in the layout of the first Stable Diffusion.

The numbers of `input_blocks` and `output_blocks` are counted from the modules that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor, nn

Weights = dict[str, Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}


def write(folder: Path, file: Path, *, open_clip: bool = False, markers: Iterable[str] = ()) -> Path:
    """All weights of a diffusers folder in one `.safetensors` file, and empty tensors named `markers`.

    With `open_clip` the text encoder is laid out as in Stable Diffusion 2.x, else as in 1.x. XL has both.
    """
    pipeline: Any = DiffusionPipeline.from_pretrained(folder)
    encoders = {name: part for name, part in pipeline.components.items() if name.startswith("text_encoder")}
    weights = checkpoint(pipeline.unet, pipeline.vae, encoders, open_clip=open_clip)
    # Of no use to anyone, and in every such file.
    weights["alphas_cumprod"] = pipeline.scheduler.alphas_cumprod.clone()
    weights |= {name: torch.zeros(0) for name in markers}
    save_file({name: weight.contiguous() for name, weight in weights.items()}, file)
    return file


def checkpoint(unet: Any, vae: Any, encoders: Mapping[str, Any], *, open_clip: bool) -> Weights:
    """Tensors of these networks under the names of the first Stable Diffusion."""
    weights = {
        **_under("model.diffusion_model", _unet(unet)),
        **_under("first_stage_model", _vae(vae)),
    }
    first, second = encoders.get("text_encoder"), encoders.get("text_encoder_2")
    if first is None:
        assert second is not None
        weights |= _under("conditioner.embedders.0.model", _open_clip(second))
    elif second is not None:
        weights |= _under("conditioner.embedders.0.transformer.text_model", _clip(first))
        weights |= _under("conditioner.embedders.1.model", _open_clip(second))
    elif open_clip:
        weights |= _under("cond_stage_model.model", _open_clip(first))
    else:
        weights |= _under("cond_stage_model.transformer.text_model", _clip(first))
    return weights


def _under(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}.{name}": weight for name, weight in weights.items()}


def _renamed(weights: Weights, names: dict[str, str]) -> Weights:
    renamed = {}
    for name, weight in weights.items():
        known = next((old for old in names if name.startswith(old)), "")
        renamed[names.get(known, "") + name.removeprefix(known)] = weight
    return renamed


def write_control(control: Any, file: Path, *, prefix: str = "control_model.") -> Path:
    """A ControlNet in one `.safetensors` file, as ControlNet's authors published theirs."""
    places = dict(_first_half(control))
    places |= {f"zero_convs.{number}.0": each for number, each in enumerate(control.controlnet_down_blocks)}
    hints = control.controlnet_cond_embedding
    for number, each in enumerate([hints.conv_in, *hints.blocks]):
        places[f"input_hint_block.{2 * number}"] = each
    places |= {"input_hint_block.14": hints.conv_out, "middle_block_out.0": control.controlnet_mid_block}
    weights = _laid_out(places.items())
    save_file({f"{prefix}{name}": weight.contiguous() for name, weight in weights.items()}, file)
    return file


def _unet(unet: Any) -> Weights:
    return _laid_out(_places(unet))


def _laid_out(places: Iterable[tuple[str, nn.Module]]) -> Weights:
    weights: Weights = {}
    for place, module in places:
        is_resnet = hasattr(module, "time_emb_proj")
        weights |= _under(place, _renamed(module.state_dict(), _RESNET if is_resnet else {}))
    return weights


def _places(unet: Any) -> Iterator[tuple[str, nn.Module]]:
    yield from _first_half(unet)
    outputs = 0
    for block in unet.up_blocks:
        for layer in _layers(block):
            yield from _numbered(f"output_blocks.{outputs}", layer)
            outputs += 1
        if block.upsamplers:
            yield f"output_blocks.{outputs - 1}.{len(layer)}.conv", block.upsamplers[0].conv
    yield "out.0", unet.conv_norm_out
    yield "out.2", unet.conv_out


def _first_half(unet: Any) -> Iterator[tuple[str, nn.Module]]:
    """Of a UNet, and of a ControlNet, which is one without the rest."""
    yield from _embedding("time_embed", unet.time_embedding)
    if hasattr(unet, "add_embedding"):
        yield from _embedding("label_emb.0", unet.add_embedding)
    yield "input_blocks.0.0", unet.conv_in
    inputs = 1
    for block in unet.down_blocks:
        for layer in _layers(block):
            yield from _numbered(f"input_blocks.{inputs}", layer)
            inputs += 1
        if block.downsamplers:
            yield f"input_blocks.{inputs}.0.op", block.downsamplers[0].conv
            inputs += 1
    middle = unet.mid_block
    yield from _numbered("middle_block", [middle.resnets[0], middle.attentions[0], middle.resnets[1]])


def _embedding(place: str, module: Any) -> Iterator[tuple[str, nn.Module]]:
    yield f"{place}.0", module.linear_1
    yield f"{place}.2", module.linear_2


def _layers(block: Any) -> list[tuple[nn.Module, ...]]:
    if hasattr(block, "attentions"):
        return list(zip(block.resnets, block.attentions, strict=True))
    return [(resnet,) for resnet in block.resnets]


def _numbered(place: str, modules: Any) -> Iterator[tuple[str, nn.Module]]:
    return ((f"{place}.{number}", module) for number, module in enumerate(modules))


def _vae(vae: Any) -> Weights:
    weights = _under("quant_conv", vae.quant_conv.state_dict())
    weights |= _under("post_quant_conv", vae.post_quant_conv.state_dict())
    weights |= _under("encoder", _half(vae.encoder, vae.encoder.down_blocks, "down"))
    # The decoder's blocks are numbered from the finest to the coarsest, too.
    return weights | _under("decoder", _half(vae.decoder, vae.decoder.up_blocks[::-1], "up"))


def _half(half: Any, blocks: Any, way: str) -> Weights:
    weights: Weights = {}
    for number, block in enumerate(blocks):
        for layer, resnet in enumerate(block.resnets):
            weights |= _under(f"{way}.{number}.block.{layer}", _vae_resnet(resnet))
        for sampler in getattr(block, f"{way}samplers") or ():
            weights |= _under(f"{way}.{number}.{way}sample", sampler.state_dict())
    for layer, resnet in enumerate(half.mid_block.resnets, start=1):
        weights |= _under(f"mid.block_{layer}", _vae_resnet(resnet))
    weights |= _under("mid.attn_1", _vae_attention(half.mid_block.attentions[0]))
    weights |= _under("norm_out", half.conv_norm_out.state_dict())
    weights |= _under("conv_in", half.conv_in.state_dict())
    return weights | _under("conv_out", half.conv_out.state_dict())


def _vae_resnet(resnet: nn.Module) -> Weights:
    return _renamed(resnet.state_dict(), {"conv_shortcut": "nin_shortcut"})


def _vae_attention(attention: nn.Module) -> Weights:
    """Its matrices were convolutions of one pixel."""
    weights = _renamed(attention.state_dict(), _ATTENTION)
    return {name: weight[..., None, None] if weight.ndim == 2 else weight for name, weight in weights.items()}


def _text_model(encoder: nn.Module) -> Weights:
    return {name.removeprefix("text_model."): weight for name, weight in encoder.state_dict().items()}


def _clip(encoder: nn.Module) -> Weights:
    weights = _text_model(encoder)
    positions = len(weights["embeddings.position_embedding.weight"])
    return {**weights, "embeddings.position_ids": torch.arange(positions)[None]}


def _open_clip(encoder: nn.Module) -> Weights:
    weights = _text_model(encoder)
    renamed = {
        "token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "positional_embedding": weights["embeddings.position_embedding.weight"],
        "ln_final.weight": weights["final_layer_norm.weight"],
        "ln_final.bias": weights["final_layer_norm.bias"],
    }
    if "text_projection.weight" in weights:
        renamed["text_projection"] = weights["text_projection.weight"].T
    for number, layer in enumerate(_encoder_layers(encoder)):
        renamed |= _under(f"transformer.resblocks.{number}", _open_clip_layer(layer))
    return renamed


def _encoder_layers(encoder: Any) -> Any:
    return getattr(encoder, "text_model", encoder).encoder.layers


def _open_clip_layer(layer: Any) -> Weights:
    attention = layer.self_attn
    three = (attention.q_proj, attention.k_proj, attention.v_proj)
    others = {name: each for name, each in layer.state_dict().items() if not name.startswith("self_attn")}
    return {
        **_renamed(others, _OPEN_CLIP),
        **_under("attn.out_proj", attention.out_proj.state_dict()),
        "attn.in_proj_weight": torch.cat([each.weight for each in three]),
        "attn.in_proj_bias": torch.cat([each.bias for each in three]),
    }
