"""Floating-point operations: those of a UNet row, and those that a device could do."""

from __future__ import annotations

import time
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from generator import devices

TOKENS = 77


def flops_per_row(config: Any, latent_side: int) -> int:
    """Of a UNet with this config, one multiplication with its addition being two; nothing is computed."""
    size = (1, config.in_channels, latent_side, latent_side)
    with torch.device("meta"), torch.no_grad():
        unet = UNet2DConditionModel.from_config(config)
        added = None
        if config.addition_embed_type == "text_time":
            width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
            added = {"text_embeds": torch.empty(1, width), "time_ids": torch.empty(1, 6)}
        tokens = torch.empty(1, TOKENS, config.cross_attention_dim)
        with FlopCounterMode(display=False) as counter:
            unet(torch.empty(size), torch.zeros(1), tokens, added_cond_kwargs=added)
    return int(counter.get_total_flops())


def peak_flops(device: torch.device, side: int = 8192, rounds: int = 5, repeats: int = 20) -> float:
    """Measure large matrix products in the engine's precision: FLOP/s in the best of some rounds."""
    factors = [torch.randn(side, side, device=device).to(devices.dtype(device)) for _ in range(2)]
    best = 0.0
    for _ in range(rounds):
        devices.synchronize(device)
        begin = time.perf_counter()
        for _ in range(repeats):
            torch.mm(*factors)
        devices.synchronize(device)
        best = max(best, repeats * 2 * side**3 / (time.perf_counter() - begin))
    return best
