"""Networks that lead where things are drawn, by a picture: ControlNets and T2I-Adapters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import PIL.Image
import torch
from diffusers import T2IAdapter
from torch import Tensor

from generator.conditioning.control_maps import MAPS, grey
from generator.families import control_files
from generator.families.base import Conditions
from generator.families.tiling import circular
from storage.catalog_companions import ControlEntry

Place = Callable[[Any], Any]
"""Puts a network where it computes, as itself or as a clone."""


class SpatialControl(torch.nn.Module, ABC):
    """One on a device, in diffusers' class. Only the device's thread calls what computes."""

    def __init__(
        self, network: Any, shown: Callable[[PIL.Image.Image], PIL.Image.Image], place: Place
    ) -> None:
        super().__init__()
        self.network = place(network)
        self.shown = shown
        """Makes of a picture what the network is shown of it."""
        self._loaded = (network, place)

    def tiling(self) -> Self:
        """The same for pictures whose opposite edges meet; the two share their weights."""
        network, place = self._loaded
        return type(self)(circular(network), self.shown, place)

    @abstractmethod
    def conditions(self, pixels: Tensor, weight: float, count: int, *, guided: bool) -> Conditions:
        """Rows for `count` images led by (1, 3, height, width) pixels; where guided, the negative first."""

    @abstractmethod
    def forward(
        self, latents: Tensor, timesteps: Tensor, words: Tensor, conditions: Conditions, added: Conditions
    ) -> dict[str, Any]:
        """Arguments of the UNet: numbers to add to its blocks, each row's at its own weight."""


class ControlNetwork(SpatialControl):
    """ControlNet (Zhang et al. 2023): half a UNet, called at every step beside the whole one."""

    def conditions(self, pixels: Tensor, weight: float, count: int, *, guided: bool) -> Conditions:
        """One that pools what it says over the whole picture (shuffle) leads prompted rows alone."""
        unprompted = 0.0 if self.network.config.global_pool_conditions else weight
        weights = pixels.new_tensor([unprompted] * count * guided + [weight] * count).view(-1, 1, 1, 1)
        return {"control": pixels.expand(len(weights), -1, -1, -1), "control_weight": weights}

    def forward(
        self, latents: Tensor, timesteps: Tensor, words: Tensor, conditions: Conditions, added: Conditions
    ) -> dict[str, Any]:
        # A UNet for inpainting sees the mask behind the latents; the control network does not.
        seen = latents[:, : self.network.config.in_channels]
        down, middle = self.network(
            seen,
            timesteps,
            words,
            conditions["control"],
            conditioning_scale=conditions["control_weight"],
            added_cond_kwargs=added or None,
            return_dict=False,
        )
        return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}


class FeatureAdapter(SpatialControl):
    """T2I-Adapter (Mou et al. 2023): reads its picture once, whatever is drawn."""

    def conditions(self, pixels: Tensor, weight: float, count: int, *, guided: bool) -> Conditions:
        rows = count * (2 if guided else 1)
        features = self.network(pixels[:, : self.network.config.in_channels])
        return {
            f"control {place}": (feature * weight).expand(rows, -1, -1, -1)
            for place, feature in enumerate(features)
        }

    def forward(
        self, latents: Tensor, timesteps: Tensor, words: Tensor, conditions: Conditions, added: Conditions
    ) -> dict[str, Any]:
        del latents, timesteps, words, added
        features = [value for name, value in conditions.items() if name.startswith("control ")]
        return {"down_intrablock_additional_residuals": features}


def load(entry: ControlEntry, unet: Any, dtype: torch.dtype, place: Place) -> SpatialControl:
    """Load a control for a model with this UNet.

    Raises:
        CatalogError: it cannot be used; the text names the source and the reason.
    """
    network = control_files.load(entry.source, unet, dtype, pooled=entry.global_pool_conditions).eval()
    shown = MAPS[entry.reads]
    if not isinstance(network, T2IAdapter):
        return ControlNetwork(network, shown, place)
    if network.config.in_channels == 1:
        return FeatureAdapter(network, partial(grey, shown), place)
    return FeatureAdapter(network, shown, place)
