"""Schedules and steps of flow matching, where what a perfect network would predict is known."""

from __future__ import annotations

import pytest
import torch

from generator.families import flow_matching
from generator.families.flow_matching import FlowDenoising

CONFIG = {"shift": 3.0, "use_dynamic_shifting": True, "num_train_timesteps": 1000}
CLEAN = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
NOISE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))


def denoising(sampler: str, steps: int, strength: float | None = None) -> FlowDenoising:
    scheduler = flow_matching.scheduler_of(sampler, CONFIG, steps, mu=0.7)
    rngs = [torch.Generator().manual_seed(seed) for seed in range(2)]
    return FlowDenoising(scheduler, steps, strength=strength, rngs=rngs)


@pytest.mark.parametrize("strength", [None, 0.5])
@pytest.mark.parametrize("sampler", flow_matching.TABLE)
def test_a_perfect_network_leads_to_the_picture(sampler: str, strength: float | None) -> None:
    way = denoising(sampler, 7, strength)
    latents = way.initial(NOISE, None if strength is None else CLEAN)
    for call, time in enumerate(way.times):
        sigma = time / 1000
        velocity = (latents - CLEAN) / max(sigma, 1e-6)
        assert torch.allclose(way.estimate(latents, velocity, call), CLEAN, atol=1e-2)
        latents = way.step(velocity, latents, call)
    assert torch.allclose(latents, CLEAN, atol=1e-2)


@pytest.mark.parametrize("sampler", flow_matching.TABLE)
def test_all_samplers_go_through_the_same_noise_levels(sampler: str) -> None:
    way, plain = denoising(sampler, 7), denoising("euler", 7)
    assert way.times[:: way.order] == pytest.approx(plain.times, abs=0.2)


def test_a_start_from_a_picture_is_as_noisy_as_its_first_call() -> None:
    way = denoising("euler", 10, 0.4)
    sigma = way.times[0] / 1000
    assert len(way.times) == 4
    assert torch.allclose(way.initial(NOISE, CLEAN), (1 - sigma) * CLEAN + sigma * NOISE, atol=1e-5)
    assert torch.equal(way.noised(CLEAN, NOISE, len(way.times)), CLEAN)


def test_an_unknown_sampler_is_named() -> None:
    with pytest.raises(ValueError, match="no sampler 'pndm'; there are euler"):
        denoising("pndm", 4)
