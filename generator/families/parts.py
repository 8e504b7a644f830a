"""Parts that a model calls for every row and every picture, compiled on a GPU: its denoiser and its decoder.

Modules of their own, that know nothing of the model around them: a compiler in another process is sent one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from generator.families.base import Conditions
from generator.families.controls import SpatialControl
from storage.contract import Role

PICTURES = "pictures of "
"""Prefix of the names of conditions that an adapter reads; its role follows."""

WEIGHTS = "weights of "
"""The same for how strongly it works: (rows, 1, 1)."""


class Denoiser(torch.nn.Module):
    """A UNet, reading pictures of these roles by its adapters, and perhaps led by a control network."""

    def __init__(self, unet: Any, roles: Sequence[Role] = (), control: SpatialControl | None = None) -> None:
        super().__init__()
        self.unet = unet
        self.roles = tuple(roles)
        self.control = control

    def forward(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        """(rows, channels, height, width) at (rows,) timesteps to what the UNet predicts."""
        added: dict[str, Any] = {
            name: conditions[name] for name in ("text_embeds", "time_ids") if name in conditions
        }
        words = conditions["encoder_hidden_states"]
        led = {} if self.control is None else self.control(latents, timesteps, words, conditions, added)
        if self.roles:
            added["image_embeds"] = [conditions[PICTURES + role] for role in self.roles]
        weights = [conditions[WEIGHTS + role] for role in self.roles]
        with self.unet.row_weights.during(weights) if self.roles else nullcontext():
            output: Tensor = self.unet(
                latents,
                timesteps,
                encoder_hidden_states=words,
                timestep_cond=conditions.get("timestep_cond"),
                added_cond_kwargs=added or None,
                return_dict=False,
                **led,
            )[0]
        return output


class VaeDecoder(torch.nn.Module):
    """An autoencoder's second half."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """(n, channels, height, width) of the autoencoder's own latents to pixels in −1…1."""
        pixels: Tensor = self.vae.decode(latents, return_dict=False)[0]
        return pixels
