"""Numbers that a network holds at a time while it computes, beside its weights.

Found by a run of the real class, laid out as a configuration says, on fake tensors: that takes half a second
and no memory. Attention never holds a matrix of all tokens by all tokens, as torch's own does not. What is
held grows with rows and pixels, and with nothing else, so one small run tells all.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from generator.memory.live_bytes import LiveBytes

TOKENS = 77
LATENTS = 32
"""Side of the latents that are tried: divided by two at each level of a network."""

Config = Mapping[str, Any]


class UnetNumbers(NamedTuple):
    """A UNet's layout in numbers."""

    weights: int
    linear: int
    """Weights of its linear layers, which are what int8 and NF4 make smaller."""
    fused: int
    """Weights more, once the projections of its attentions are fused."""
    held: float
    """Numbers held for each latent pixel of each row."""


def of_denoiser(config: Config) -> UnetNumbers:
    return _of_denoiser(_frozen(config))


def of_decoder(config: Config) -> float:
    """Numbers that an autoencoder holds for each pixel that it decodes."""
    return _of_decoder(_frozen(config))


@functools.cache
def _of_denoiser(config: str) -> UnetNumbers:
    with FakeTensorMode():
        unet = _network(UNet2DConditionModel, config)
        weights, linear = _count(unet), _linear(unet)
        inputs, more = _inputs(unet)
        peak = _peak(unet, lambda: unet(*inputs, return_dict=False, **more))
        unet.fuse_qkv_projections()
        return UnetNumbers(weights, linear, _count(unet) - weights, peak / LATENTS**2)


def _inputs(unet: Any) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """One row of everything that this UNet reads."""
    config = unet.config
    words = torch.empty(1, TOKENS, config.cross_attention_dim)
    more: dict[str, Any] = {}
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        more["added_cond_kwargs"] = {"text_embeds": torch.empty(1, pooled), "time_ids": torch.empty(1, 6)}
    if config.time_cond_proj_dim is not None:
        more["timestep_cond"] = torch.empty(1, config.time_cond_proj_dim)
    return (torch.empty(1, config.in_channels, LATENTS, LATENTS), torch.zeros(1), words), more


@functools.cache
def _of_decoder(config: str) -> float:
    with FakeTensorMode():
        vae = _network(AutoencoderKL, config)
        latents = torch.empty(1, vae.config.latent_channels, LATENTS, LATENTS)
        scale = 2 ** (len(vae.config.block_out_channels) - 1)
        pixels = (LATENTS * int(scale)) ** 2
        return _peak(vae, lambda: vae.decode(latents, return_dict=False)) / pixels


def _peak(network: torch.nn.Module, call: Any) -> float:
    """Numbers, of four bytes each."""
    live = LiveBytes([*network.parameters(), *network.buffers()])
    with torch.inference_mode(), live:
        call()
    return live.peak / 4


def _network(kind: Any, config: str) -> Any:
    before = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()  # it tells of keys that it does not know
    try:
        return kind.from_config(json.loads(config)).eval()
    finally:
        diffusers_logging.set_verbosity(before)


def _count(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _linear(network: torch.nn.Module) -> int:
    return sum(layer.weight.numel() for layer in network.modules() if isinstance(layer, torch.nn.Linear))


def _frozen(config: Config) -> str:
    """Without where it was found, and by which version it was saved."""
    known = {name: value for name, value in config.items() if not name.startswith("_")}
    return json.dumps(known, sort_keys=True)
