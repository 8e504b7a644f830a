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
        self._steps = steps
        self.begun = strength is not None
        """True if it starts from an image."""
        begin = skipped_steps(steps, strength) * self.order
        schedulers.begin_at(scheduler, begin)
        self._make(scheduler.timesteps[begin:])
        accepted = inspect.signature(scheduler.step).parameters
        arguments = {"eta": 0.0, "generator": rngs}
        self._arguments = {name: value for name, value in arguments.items() if name in accepted}

    def _make(self, timesteps: Tensor) -> None:
        self._timesteps = timesteps
        self.times: Sequence[float] = timesteps.tolist()

    def calls_before(self, part: float) -> int:
        """Calls that are made until this part (0–1) of the noise levels lies behind."""
        return int((self._timesteps >= self._cutoff(part)).sum())

    def calls_after(self, part: float) -> int:
        """Calls of the whole schedule that are left then; never half a step of a sampler of second order."""
        left = int((self.scheduler.timesteps < self._cutoff(part)).sum())
        return left + 1 if self.order == 2 and left % 2 == 0 else left

    def end_at(self, part: float) -> None:
        """Leave the rest to another model."""
        self._make(self._timesteps[: self.calls_before(part)])

    def begin_at(self, part: float) -> None:
        """Go on from the latents of another model."""
        # PNDM's first step stands twice in its timesteps.
        whole = self._steps if self.order == 1 else len(self.scheduler.timesteps)
        begin = whole - self.calls_after(part)
        schedulers.begin_at(self.scheduler, begin)
        self._make(self.scheduler.timesteps[begin:])

    def _cutoff(self, part: float) -> int:
        whole: int = self.scheduler.config.num_train_timesteps
        return round(whole - part * whole)

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
