"""Every sampler against what is known exactly, from noise and from a picture, on the steps of SD 1.5.

Latents that are normally distributed have a perfect denoiser in closed form, and so has the way that each of
them takes from its noise to the end (Song et al. 2021, the probability flow): it keeps its place among all.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from diffusers import LMSDiscreteScheduler, PNDMScheduler
from torch import Tensor

from generator.families import schedulers

STABLE_DIFFUSION_15 = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
    "prediction_type": "epsilon",
}
RANDOM = {
    *("ddpm", "euler_a", "kdpm2_a", "lcm", "tcd"),
    *("dpm++2m_sde", "dpm++2m_sde_karras", "dpm++sde", "dpm++sde_karras"),
}
"""They add noise of their own, so that only the whole distribution is known."""
SPREAD = 0.5
"""The standard deviation of what is drawn."""
STRENGTHS = (1.0, 0.5, 0.2)
"""From noise alone, then from a picture; as diffusers has it, how much of it is drawn anew."""
STEPS = 25
SIDE = 64


def drawn(scheduler: Any, strength: float, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """(SIDE²,) latents from the scheduler and a perfect denoiser, and what they were to become."""
    generator = torch.Generator().manual_seed(0)
    scheduler.set_timesteps(steps)
    begin = max(steps - max(1, int(steps * strength)), 0) * scheduler.order if strength < 1 else 0
    schedulers.begin_at(scheduler, begin)
    timesteps = scheduler.timesteps[begin:]
    image, noise = (torch.randn(1, 1, SIDE, SIDE, generator=generator) * scale for scale in (SPREAD, 1.0))
    latents = (
        scheduler.add_noise(image, noise, timesteps[:1]) if begin else noise * scheduler.init_noise_sigma
    )
    first = scheduler.scale_model_input(latents, timesteps[0])
    truth = first / spread_at(scheduler, timesteps[0]) * SPREAD
    accepted = inspect.signature(scheduler.step).parameters
    more = {"generator": generator} if "generator" in accepted else {}
    for timestep in timesteps:
        seen = scheduler.scale_model_input(latents, timestep)
        latents = scheduler.step(predicted(scheduler, seen, timestep), timestep, latents, **more).prev_sample
    return latents.flatten(), truth.flatten()


def alpha_bar(scheduler: Any, timestep: Tensor) -> Tensor:
    """Between two steps of the training by the logarithm of the noise level, as diffusers' Karras has it."""
    below, part = int(timestep), float(timestep) % 1
    bars: Tensor = scheduler.alphas_cumprod.double()
    levels = ((1 - bars) / bars).log()
    level = levels[below] + part * (levels[min(below + 1, len(levels) - 1)] - levels[below])
    return (1 / (1 + level.exp())).float()


def spread_at(scheduler: Any, timestep: Tensor) -> Tensor:
    bar = alpha_bar(scheduler, timestep)
    return (bar * SPREAD**2 + 1 - bar).sqrt()


def predicted(scheduler: Any, seen: Tensor, timestep: Tensor) -> Tensor:
    """The noise in it, as a perfect UNet would say."""
    return seen * (1 - alpha_bar(scheduler, timestep)).sqrt() / spread_at(scheduler, timestep) ** 2


def off(scheduler: Any, strength: float) -> float:
    """The root mean square of what the latents are away from the truth, in parts of their spread."""
    latents, truth = drawn(scheduler, strength)
    return float((latents - truth).square().mean().sqrt() / SPREAD)


def near(begun: float, whole: float) -> bool:
    """Whether beginning with a picture costs nothing: errors in parts of the spread."""
    return begun <= 1.2 * whole + 0.005


@pytest.mark.parametrize("sampler", sorted(schedulers.TABLE.keys() - RANDOM))
def test_a_sampler_without_chance_arrives_where_it_has_to(sampler: str) -> None:
    whole, *begun = (off(schedulers.build(sampler, STABLE_DIFFUSION_15), strength) for strength in STRENGTHS)
    assert whole < 0.1
    assert all(near(each, whole) for each in begun), begun


@pytest.mark.parametrize("sampler", sorted(RANDOM))
def test_a_sampler_with_chance_draws_what_is_distributed_so(sampler: str) -> None:
    spreads = [
        float(drawn(schedulers.build(sampler, STABLE_DIFFUSION_15), strength)[0].std()) / SPREAD
        for strength in STRENGTHS
    ]
    whole, *begun = (abs(spread - 1) for spread in spreads)
    assert all(near(each, whole) for each in begun), spreads


@pytest.mark.parametrize("theirs", [LMSDiscreteScheduler, PNDMScheduler])
def test_diffusers_still_needs_correcting(theirs: type[Any]) -> None:
    scheduler = theirs.from_config(STABLE_DIFFUSION_15, skip_prk_steps=True)
    assert not near(off(scheduler, 0.2), off(scheduler, 1.0))
