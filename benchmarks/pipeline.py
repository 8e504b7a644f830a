"""diffusers alone: what Easel is measured against."""

from __future__ import annotations

from typing import Any

import PIL.Image
import torch

from generator import schedulers
from storage.contract import GenerationRequest


class Pipeline:
    """A text-to-image pipeline of diffusers', called for one request at a time."""

    def __init__(self, pipeline: Any) -> None:
        self.unet: Any = pipeline.unet
        self._pipeline = pipeline
        self._pipeline.set_progress_bar_config(disable=True)
        self._scheduler_config = pipeline.scheduler.config

    def draw(self, request: GenerationRequest) -> list[PIL.Image.Image]:
        self._pipeline.scheduler = schedulers.build(request.scheduler, self._scheduler_config)
        count = request.num_images_per_prompt
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
        pictures: list[PIL.Image.Image] = output.images
        return pictures
