"""Jobs that share UNet calls on one thread, so that every call has the same rows at every run."""

from __future__ import annotations

import math

import PIL.Image
import torch
from torch import Tensor

from generator.conditioning.prompt_embeds import ModelPhrases
from generator.engine.batch_group import BatchGroup
from generator.engine.clock import HostClock
from generator.engine.meter import Meter
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families.base import Family
from generator.families.sd import StableDiffusion
from storage.contract import GenerationRequest

CPU = torch.device("cpu")


@torch.inference_mode()
def drawn_together(
    family: Family, *jobs: GenerationRequest | DrawRequest, lexicon: ModelPhrases | None = None
) -> list[Tensor]:
    """Each job's finished pixels (n, 3, height, width); all start at once, and groups take turns."""
    groups: dict[object, BatchGroup] = {}
    everybody = []
    for job in jobs:
        if isinstance(job, GenerationRequest):
            job = DrawRequest(job, lexicon=lexicon or ModelPhrases())
        rows = RunningJob(family, job)
        rows.start()
        pixels = math.prod(rows.shape[1:])
        group = groups.setdefault(
            rows.group,
            BatchGroup(rows.family, pixels, 0.0, HostClock(CPU), Meter(CPU)),
        )
        group.join(rows)
        everybody.append(rows)
    while any(groups.values()):
        for group in groups.values():
            if len(group):
                group.tick()
    return [rows.family.decode(rows.latents) for rows in everybody]


def stable_diffusion(family: Family) -> StableDiffusion:
    """The same family, for tests of what only it has."""
    assert isinstance(family, StableDiffusion)
    return family


def noisy(seed: int = 0, size: tuple[int, int] = (64, 64)) -> PIL.Image.Image:
    """A picture of soft patches."""
    rng = torch.Generator().manual_seed(seed)
    patches = torch.randint(0, 256, (8, 8, 3), generator=rng, dtype=torch.uint8).numpy()
    return PIL.Image.fromarray(patches).resize(size, PIL.Image.Resampling.BICUBIC)
