"""A picture while it forms: a linear map from latents to colours, cheap enough to look at every step."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import PIL.Image
import torch
from torch import Tensor

FIT_PIXELS = 128
FIT_PICTURES = 12


class LatentColours(NamedTuple):
    """Colours (0…1) = latents · weight + bias; weight is (channels, 3), both in float32 on the CPU."""

    weight: Tensor
    bias: Tensor

    def images(self, latents: Tensor, size: tuple[int, int]) -> list[PIL.Image.Image]:
        """(n, channels, height, width) of any device as n pictures of `size` (width, height) pixels."""
        values = latents.to("cpu", torch.float32).movedim(1, -1) @ self.weight + self.bias
        pixels = (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        return [PIL.Image.fromarray(each).resize(size, PIL.Image.Resampling.BICUBIC) for each in pixels]


class Autoencoder(Protocol):
    latent_scale: int

    def posterior(self, pixels: Tensor) -> object: ...

    def scaled(self, latents: Tensor) -> Tensor: ...


@torch.inference_mode()
def fit_colours(family: Autoencoder) -> LatentColours:
    """The map that fits an autoencoder best (least squares), measured on a dozen drawn colour fields."""
    pixels = colour_fields(FIT_PICTURES, FIT_PIXELS)
    posteriors = [family.posterior(each[None] * 2 - 1) for each in pixels]
    latents = torch.cat([family.scaled(each.mode()) for each in posteriors])  # type: ignore[attr-defined]
    samples = latents.to("cpu", torch.float32).movedim(1, -1).flatten(0, -2)
    colours = torch.nn.functional.avg_pool2d(pixels, family.latent_scale).movedim(1, -1).flatten(0, -2)
    inputs = torch.cat([samples, torch.ones(len(samples), 1)], dim=1)
    # A little ridge keeps the answer small where a channel says nothing about colour.
    ridge = 1e-4 * torch.eye(inputs.shape[1]) * samples.square().sum(0).mean()
    solution: Tensor = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ colours)
    return LatentColours(solution[:-1], solution[-1])


def colour_fields(count: int, pixels: int) -> Tensor:
    """(count, 3, pixels, pixels) in 0…1: soft patches of every colour with hard-edged blocks among them."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=rng)
    fields = torch.nn.functional.interpolate(coarse, size=(pixels, pixels), mode="bicubic").clamp(0, 1)
    side = pixels // 4
    for field in fields:
        for _ in range(4):
            top, left = torch.randint(0, pixels - side, (2,), generator=rng).tolist()
            field[:, top : top + side, left : left + side] = torch.rand(3, 1, 1, generator=rng)
    return fields


def alpha_bar_at(alphas_cumprod: Tensor, time: float) -> float:
    """ᾱ at a time that may lie between two of training's: log σ is linear there, as samplers take it."""
    before = min(int(time), len(alphas_cumprod) - 1)
    after = min(before + 1, len(alphas_cumprod) - 1)
    if time == before or before == after:
        return float(alphas_cumprod[before])
    log_ratios = [math.log((1 - float(each)) / float(each)) for each in alphas_cumprod[[before, after]]]
    log_ratio = log_ratios[0] + (time - before) * (log_ratios[1] - log_ratios[0])
    return 1 / (1 + math.exp(log_ratio))


def clean_estimate(model_input: Tensor, output: Tensor, alpha_bar: float, prediction_type: str) -> Tensor:
    """Estimate the finished latents, as the model predicts them from one step.

    `model_input` is the UNet's input at noise level ᾱ = `alpha_bar` (variance preserving), `output` its
    guided prediction of type `epsilon`, `v_prediction` or `sample`.
    """
    alpha, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    if prediction_type == "sample":
        return output
    clean: Tensor
    if prediction_type == "v_prediction":
        clean = model_input * alpha - output * sigma
    else:
        clean = (model_input - output * sigma) / max(alpha, 1e-3)
    return clean
