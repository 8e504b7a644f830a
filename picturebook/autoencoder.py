"""The autoencoder, which starts out as plain averaging and enlarging.

Before any training its first three latent channels are the picture made four times smaller, and
decoding enlarges them again. Training then only has to learn what is missing: the sharp edges, the
textures and what the fourth channel should tell of them. From a random start the same network
needs many times as many steps before it shows so much as colours.
"""

import math
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

WIDTHS = (16, 48, 96)
SHRINK = 4
"""Width of one latent in pixels."""

GROUPS = 4
NOISE = 0.05
"""Deviation of the noise in the untrained latents; more of it would drown the colours at first."""

BRIGHTNESS = 2.0
"""Factor between a picture in -1..1 and the untrained latents."""

STEADY = 3.0
"""Size of the constants that keep a group's deviation nearly the same for all pictures."""

LIFT = 4.0
"""Bias that moves the colours to where SiLU is nearly straight."""


def new_vae() -> AutoencoderKL:
    """An untrained autoencoder: latents a quarter as wide and high as the picture, of four channels."""
    vae = AutoencoderKL(
        block_out_channels=WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=GROUPS,
        sample_size=128,
    )
    with torch.no_grad():
        _silence_branches(vae)
        _open_encoder(vae)
        _open_decoder(vae)
    return vae


def _places(width: int) -> list[int]:
    """The channels that carry red, green and blue: the first of a normalisation group each."""
    return [colour * width // GROUPS for colour in range(3)]


def _silence_branches(vae: AutoencoderKL) -> None:
    """Make every residual block start as the identity."""
    for module in vae.modules():
        name = type(module).__name__
        if name == "ResnetBlock2D":
            module.conv2.weight.zero_()
            module.conv2.bias.zero_()
        elif name == "Attention":
            module.to_out[0].weight.zero_()
            module.to_out[0].bias.zero_()


def _carry(conv: Any, into: list[int], out: list[int], kernel: Tensor) -> None:
    """Let a convolution pass on the colours through ``kernel``, unmixed with anything else."""
    for source, target in zip(into, out, strict=True):
        conv.weight[target] = 0
        conv.weight[target, source] = kernel
        conv.bias[target] = 0


def _centre(size: int, factor: float = 1.0) -> Tensor:
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = factor
    return kernel


def _steady(conv: Any) -> float:
    """Fill the colours' groups with constants; returns the deviation that the groups then have."""
    width = conv.out_channels
    size = width // GROUPS
    for place in _places(width):
        for offset in range(1, size):
            conv.weight[place + offset] = 0
            last = offset == size - 1 and size % 2 == 0
            conv.bias[place + offset] = 0 if last else STEADY * (1 if offset % 2 else -1)
    pairs = (size - 1) // 2
    return math.sqrt((2 * pairs * STEADY**2 + 0.3) / size)


def _straighten(norm: Any) -> None:
    for place in _places(norm.num_channels):
        norm.bias[place] = LIFT


def _leave(conv: Any, out: list[int], deviation: float, factor: float) -> None:
    """Undo normalisation, lift and SiLU in a last convolution, and scale the colours."""
    sigmoid = 1 / (1 + math.exp(-LIFT))
    slope = sigmoid * (1 + LIFT * (1 - sigmoid))
    gain = factor * deviation / slope
    _carry(conv, _places(conv.in_channels), out, _centre(3, gain))
    for target in out:
        conv.bias[target] = -gain * LIFT * sigmoid


def _open_encoder(vae: AutoencoderKL) -> None:
    encoder = vae.encoder
    colours = [0, 1, 2]
    _carry(encoder.conv_in, colours, _places(WIDTHS[0]), _centre(3))
    average = torch.zeros(3, 3)
    average[:2, :2] = 0.25
    deviation = 1.0
    for block in encoder.down_blocks:
        shortcut = block.resnets[0].conv_shortcut
        if shortcut is not None:
            _carry(shortcut, _places(shortcut.in_channels), _places(shortcut.out_channels), _centre(1))
            deviation = _steady(shortcut)
        for sampler in block.downsamplers or []:
            places = _places(sampler.conv.in_channels)
            _carry(sampler.conv, places, places, average)
    _straighten(encoder.conv_norm_out)
    _leave(encoder.conv_out, colours, deviation, BRIGHTNESS)
    into = vae.quant_conv
    into.weight.zero_()
    into.bias.zero_()
    for channel in range(4):
        into.weight[channel, channel, 0, 0] = 1
    into.bias[4:] = 2 * math.log(NOISE)


def _open_decoder(vae: AutoencoderKL) -> None:
    decoder = vae.decoder
    vae.post_quant_conv.weight.copy_(torch.eye(4).view(4, 4, 1, 1))
    vae.post_quant_conv.bias.zero_()
    colours = [0, 1, 2]
    _carry(decoder.conv_in, colours, _places(WIDTHS[-1]), _centre(3, 1 / BRIGHTNESS))
    deviation = 1.0
    smooth = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16
    for block in decoder.up_blocks:
        shortcut = block.resnets[0].conv_shortcut
        if shortcut is not None:
            _carry(shortcut, _places(shortcut.in_channels), _places(shortcut.out_channels), _centre(1))
            deviation = _steady(shortcut)
        for sampler in block.upsamplers or []:
            places = _places(sampler.conv.in_channels)
            _carry(sampler.conv, places, places, smooth)
    _straighten(decoder.conv_norm_out)
    _leave(decoder.conv_out, colours, deviation, 1.0)
