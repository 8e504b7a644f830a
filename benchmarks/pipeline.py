"""diffusers alone: what Easel is measured against."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import PIL.Image
import torch
from torch.nn.attention import sdpa_kernel

from generator.compiling import attention
from generator.families import schedulers
from storage.contract import GenerationRequest


def any_attention() -> AbstractContextManager[None]:
    """Torch's own choice of all there are, whatever an engine in this process has set."""
    return sdpa_kernel(attention.QUICKEST)  # in no order but torch's


class Pipeline:
    """A text-to-image pipeline of diffusers', called for one request at a time."""

    def __init__(
        self, pipeline: Any, within: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self._within = within
        self.unet: Any = pipeline.unet
        self._pipeline = pipeline
        self._pipeline.set_progress_bar_config(disable=True)
        self._scheduler_config = pipeline.scheduler.config

    def draw(self, request: GenerationRequest) -> list[PIL.Image.Image]:
        self._pipeline.scheduler = schedulers.build(request.scheduler, self._scheduler_config)
        count = request.num_images_per_prompt
        with self._within():
            output = self._pipeline(
                request.prompt,
                negative_prompt=request.negative_prompt or None,
                width=request.width,
                height=request.height,
                num_inference_steps=request.num_inference_steps,
                guidance_scale=request.guidance_scale,
                num_images_per_prompt=count,
                generator=[torch.Generator().manual_seed(request.seed_of(index)) for index in range(count)],
            )
        images: list[PIL.Image.Image] = output.images
        return images
