"""Networks whose pictures have no border: beyond each edge lies what is within the opposite one."""

from __future__ import annotations

import torch
from diffusers.models.downsampling import Downsample2D

from generator.families.weight_sharing import Network, clone_sharing_weights


def circular(network: Network) -> Network:
    """The same network with circular convolutions; the two share their weights."""
    clone = clone_sharing_weights(network)
    for layer in clone.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.padding not in {(0, 0), "valid"}:
            layer.padding_mode = "circular"
        if isinstance(layer, Downsample2D) and layer.use_conv and layer.padding == 0:
            _wrap_right_and_below(layer)
    return clone


def _wrap_right_and_below(layer: Downsample2D) -> None:
    """An encoder's own way of halving a picture: it fills up two of the edges before its convolution does."""
    layer.padding = 1  # and so it leaves them to the convolution
    layer.conv.padding_mode = "circular"
    layer.conv._reversed_padding_repeated_twice = [0, 1, 0, 1]  # noqa: SLF001  left, right, top, bottom
