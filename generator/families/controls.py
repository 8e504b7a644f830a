"""Control networks (ControlNet, Zhang et al. 2023): a picture leads where things are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import PIL.Image
import torch
from diffusers import ControlNetModel
from torch import Tensor

from generator import devices, pretrained
from generator.conditioning.control_maps import MAPS
from generator.families.auxiliary import reading
from generator.families.tiling import circular
from storage.catalog_companions import ControlEntry


class ControlNetwork(torch.nn.Module):
    """One on a device, in diffusers' class. Only the device's thread calls it."""

    def __init__(self, network: Any, shown: Callable[[PIL.Image.Image], PIL.Image.Image]) -> None:
        super().__init__()
        self.network = network
        self.shown = shown
        """Makes of a picture what the network is shown of it."""

    @classmethod
    def load(cls, entry: ControlEntry, device: torch.device, dtype: torch.dtype) -> Self:
        """Raises:
        CatalogError: it cannot be loaded; the text names the source and the reason.
        """
        with reading("control network", entry.source):
            network = pretrained.diffusers_network(ControlNetModel, entry.source, torch_dtype=dtype)
        network = network.to(device).eval()
        if devices.abilities(device).channels_last:
            network.to(memory_format=torch.channels_last)
        return cls(network, MAPS[entry.reads])

    def tiling(self) -> Self:
        """The same for pictures whose opposite edges meet; the two share their weights."""
        return type(self)(circular(self.network), self.shown)

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        words: Tensor,
        conditions: dict[str, Tensor],
        added: dict[str, Tensor],
    ) -> dict[str, Any]:
        """Residuals for the UNet: numbers to add to its blocks, each row's at its own weight."""
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
