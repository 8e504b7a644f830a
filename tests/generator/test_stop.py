"""`stop` ends a picture early: after so many steps, with what the model then takes it to be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from generator.engine.running_job import DrawRequest, RequestImages, RunningJob
from generator.families import loading, schedulers
from generator.families.base import Conditions
from generator.families.denoising import DiffusionDenoising
from generator.families.latent_preview import alpha_bar_at
from generator.families.sd import StableDiffusion
from storage.contract import GenerationRequest, Task
from tests.generator.sharing import drawn_together, noisy, stable_diffusion

SECOND_ORDER = {"heun", "kdpm2", "kdpm2_a"}


@pytest.fixture(scope="module")
def family(sd_folder: Path) -> Iterator[StableDiffusion]:
    with torch.inference_mode():
        yield stable_diffusion(loading.load(str(sd_folder), torch.device("cpu")))


def asked(**wish: Any) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, "num_inference_steps": 6}
    return GenerationRequest.model_validate(fields | wish)


@pytest.mark.parametrize("sampler", schedulers.TABLE)
@pytest.mark.parametrize(("stop", "steps"), [(10, 1), (50, 3), (51, 4), (99, 6), (100, 6)])
def test_steps_are_counted_and_not_calls(
    family: StableDiffusion, sampler: str, stop: int, steps: int
) -> None:
    whole = RunningJob(family, DrawRequest(asked(scheduler=sampler))).calls_left
    calls = RunningJob(family, DrawRequest(asked(scheduler=sampler, stop=stop))).calls_left
    if sampler == "pndm":  # its first step takes two calls
        assert calls == math.ceil(7 * stop / 100)
    else:
        assert calls == min(whole, steps * (2 if sampler in SECOND_ORDER else 1))


@pytest.mark.parametrize("task", [Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE])
@pytest.mark.parametrize("sampler", schedulers.TABLE)
def test_what_is_decoded_is_the_models_own_estimate(
    family: StableDiffusion, sampler: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    def knowing(latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        """A network that sees `truth` behind any noise."""
        del conditions
        bars = scheduler.alphas_cumprod.double().numpy()
        log_ratio = np.interp(timesteps.double().numpy(), np.arange(len(bars)), np.log(1 / bars - 1))
        bar = torch.from_numpy(1 / (1 + np.exp(log_ratio))).view(-1, 1, 1, 1)
        return ((latents - bar.sqrt() * truth) / (1 - bar).sqrt()).float()

    monkeypatch.setattr(family, "denoiser", knowing)
    request = asked(scheduler=sampler, stop=60, guidance_scale=1.0, num_images_per_prompt=1)
    source = None
    if task is Task.IMAGE_TO_IMAGE:
        request = request.model_copy(update={"task": task, "parent_image_id": 1, "strength": 0.8})
        source = noisy()
    rows = RunningJob(family, DrawRequest(request, RequestImages(source)))
    assert isinstance(rows.denoising, DiffusionDenoising)
    scheduler = rows.denoising.scheduler
    rows.start()
    while not rows.finished:
        latents, time = rows.model_input()
        rows.advance(family.predict(latents, torch.tensor([time]), rows.conditions))
    torch.testing.assert_close(rows.latents, truth, atol=5e-3, rtol=1e-3)


def test_between_two_training_times_the_noise_is_between_theirs() -> None:
    bars = torch.tensor([0.9, 0.5, 0.1])
    assert alpha_bar_at(bars, 1.0) == 0.5
    assert alpha_bar_at(bars, 2.0) == pytest.approx(0.1)
    assert alpha_bar_at(bars, 2.4) == pytest.approx(0.1)
    halfway = alpha_bar_at(bars, 0.5)
    assert math.log(1 / halfway - 1) == pytest.approx((math.log(1 / 9) + math.log(1)) / 2, abs=1e-5)


def test_an_early_end_changes_no_bit_of_a_neighbour(family: StableDiffusion) -> None:
    neighbour = asked(prompt="a boat", seed=1)
    short, beside_short = drawn_together(family, asked(num_inference_steps=3), neighbour)
    stopped, beside_stopped = drawn_together(family, asked(stop=50), neighbour)
    assert torch.equal(beside_short, beside_stopped)
    assert float((short - stopped).abs().max()) > 0.02


@torch.inference_mode()
def test_inpainting_that_stops_still_keeps_the_rest(family: StableDiffusion) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    request = asked(task=Task.INPAINTING, parent_image_id=1, mask_key="m.png", stop=50)
    job = DrawRequest(request, RequestImages(noisy(), PIL.Image.fromarray(mask)))
    rows = RunningJob(family, job)
    rows.start()
    while not rows.finished:
        latents, time = rows.model_input()
        rows.advance(family.predict(latents, torch.full((len(latents),), time), rows.conditions))
    assert rows._mask is not None
    torch.testing.assert_close(rows.latents[..., 4:], rows._mask.clean[..., 4:])
