"""Flow matching (Lipman et al., 2022): latents are (1 − σ) · image + σ · noise; predicted is noise − image.

Schedulers of diffusers by the samplers' names, and one job's way through one of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FlowMatchLCMScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from generator.families.schedulers import Sampler

_FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
_ODE = {**_FLOW, "algorithm_type": "dpmsolver++"}
_SDE = {**_FLOW, "algorithm_type": "sde-dpmsolver++"}

TABLE: dict[str, Sampler] = {
    "euler": Sampler(FlowMatchEulerDiscreteScheduler),
    "heun": Sampler(FlowMatchHeunDiscreteScheduler),
    "dpm++2m": Sampler(DPMSolverMultistepScheduler, _ODE),
    "dpm++2m_sde": Sampler(DPMSolverMultistepScheduler, _SDE),
    "unipc": Sampler(UniPCMultistepScheduler, _FLOW),
    "lcm": Sampler(FlowMatchLCMScheduler),
}

_FIRST = 1 - 1e-4
"""Noise level of pure noise for schedulers that take the logarithm of what is left beside it."""


def linear_shift(tokens: int, config: Mapping[str, Any]) -> float:
    """The shift μ of an image of so many tokens, between those of the config's shortest and longest ones.

    The same as `calculate_shift` of diffusers' pipelines.
    """
    least, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return float(low + (tokens - least) * (high - low) / (most - least))


def scheduler_of(sampler: str, config: Mapping[str, Any], steps: int, mu: float) -> Any:
    """A scheduler of this name that nobody else uses, set to so many steps.

    `config` is the model's own, of FlowMatchEulerDiscreteScheduler; `mu` is its shift for the image's size.
    All samplers take the noise levels that this one has: those which others make for themselves end too
    early (diffusers' DEIS would leave noise, Heun spend its last two calls on nothing).

    Raises:
        ValueError: there is no sampler of this name.
    """
    chosen = TABLE.get(sampler)
    if chosen is None:
        raise ValueError(f"no sampler {sampler!r}; there are {', '.join(TABLE)}")
    if chosen.scheduler in (FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler):
        scheduler = chosen.scheduler.from_config(config, **chosen.overrides)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu, device="cpu")
        return scheduler
    plain = scheduler_of("euler", config, steps, mu)
    scheduler = chosen.scheduler(**chosen.overrides)
    scheduler.set_timesteps(steps, device="cpu")
    levels, times = plain.sigmas.clamp(max=_FIRST), plain.timesteps
    if scheduler.order == 2:  # each step but the last calls the network at its two ends
        levels = torch.cat([levels[:1], levels[1:-1].repeat_interleave(2), levels[-1:]])
        times = torch.cat([times[:1], times[1:].repeat_interleave(2)])
    scheduler.sigmas, scheduler.timesteps = levels, times
    return scheduler


class FlowDenoising:
    """One job's `Denoising`, by a scheduler that nobody else uses and that is set to its steps."""

    def __init__(
        self, scheduler: Any, steps: int, *, strength: float | None, rngs: list[torch.Generator]
    ) -> None:
        self.order = int(scheduler.order)
        begin = skipped_steps(steps, strength) * self.order
        scheduler.set_begin_index(begin)
        self.scheduler = scheduler
        self._timesteps: Tensor = scheduler.timesteps[begin:]
        self._sigmas: list[float] = scheduler.sigmas[begin:].tolist()
        self.times: Sequence[float] = self._timesteps.tolist()
        accepted = inspect.signature(scheduler.step).parameters
        self._arguments = {"generator": rngs} if "generator" in accepted else {}

    def initial(self, noise: Tensor, source: Tensor | None) -> Tensor:
        return noise if source is None else self.noised(source, noise, 0)

    def model_input(self, latents: Tensor, call: int) -> Tensor:
        del call
        return latents

    def step(self, output: Tensor, latents: Tensor, call: int) -> Tensor:
        stepped: Tensor = self.scheduler.step(
            output, self._timesteps[call], latents, return_dict=False, **self._arguments
        )[0]
        return stepped

    def estimate(self, model_input: Tensor, output: Tensor, call: int) -> Tensor:
        return model_input - self._sigmas[call] * output

    def noised(self, clean: Tensor, noise: Tensor, call: int) -> Tensor:
        sigma = 0.0 if call == len(self.times) else self._sigmas[call]
        return (1 - sigma) * clean + sigma * noise


def skipped_steps(steps: int, strength: float | None) -> int:
    """Number of the noisiest steps that a start from an image leaves out, as in pipelines of flow models."""
    if strength is None:
        return 0
    return min(int(max(steps - steps * strength, 0)), steps - 1)
