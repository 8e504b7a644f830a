"""Denoising by diffusers' schedulers of diffusion models (variance preserving, ᾱ at every timestep)."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from generator.families import schedulers
from generator.families.latent_preview import alpha_bar_at, clean_estimate


class DiffusionDenoising:
    """One job's `Denoising`, by a scheduler that nobody else uses."""

    def __init__(
        self, scheduler: Any, steps: int, *, strength: float | None, rngs: list[torch.Generator]
    ) -> None:
        # Times stay on the CPU: a scheduler that reads one from a GPU would wait for it.
        scheduler.set_timesteps(steps, device="cpu")
        self.scheduler = scheduler
        self.order = int(scheduler.order)
        begin = skipped_steps(steps, strength) * self.order
        schedulers.begin_at(scheduler, begin)
        self._timesteps: Tensor = scheduler.timesteps[begin:]
        self.times: Sequence[float] = self._timesteps.tolist()
        accepted = inspect.signature(scheduler.step).parameters
        arguments = {"eta": 0.0, "generator": rngs}
        self._arguments = {name: value for name, value in arguments.items() if name in accepted}

    def initial(self, noise: Tensor, source: Tensor | None) -> Tensor:
        if source is None:
            pure: Tensor = noise * self.scheduler.init_noise_sigma
            return pure
        return self.noised(source, noise, 0)

    def model_input(self, latents: Tensor, call: int) -> Tensor:
        seen: Tensor = self.scheduler.scale_model_input(latents, self._timesteps[call])
        return seen

    def step(self, output: Tensor, latents: Tensor, call: int) -> Tensor:
        stepped: Tensor = self.scheduler.step(
            output, self._timesteps[call], latents, return_dict=False, **self._arguments
        )[0]
        return stepped

    def estimate(self, model_input: Tensor, output: Tensor, call: int) -> Tensor:
        alpha_bar = alpha_bar_at(self.scheduler.alphas_cumprod, self.times[call])
        return clean_estimate(model_input, output, alpha_bar, self.scheduler.config.prediction_type)

    def noised(self, clean: Tensor, noise: Tensor, call: int) -> Tensor:
        if call == len(self.times):
            return clean
        noisy: Tensor = self.scheduler.add_noise(
            clean, noise, self._timesteps[call : call + 1].repeat(len(clean))
        )
        return noisy


def skipped_steps(steps: int, strength: float | None) -> int:
    """Number of the noisiest steps that a start from an image leaves out, as in diffusers' pipelines."""
    if strength is None:
        return 0
    return max(steps - max(1, int(steps * strength)), 0)
