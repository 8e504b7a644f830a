"""diffusers' own pipelines, called alone: what the engine's pictures are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from diffusers import (
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    AutoPipelineForText2Image,
    DiffusionPipeline,
)

from generator.families import schedulers
from storage.contract import GenerationRequest, Task

Images = Sequence[PIL.Image.Image]


class Pipeline:
    """One model in `StableDiffusionPipeline` or its kin for XL, image-to-image and inpainting."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
        if "safety_checker" in self.pipeline.components:
            self.pipeline.safety_checker = None
        self._config = self.pipeline.scheduler.config

    def draw(
        self,
        request: GenerationRequest,
        image: PIL.Image.Image | None = None,
        mask: PIL.Image.Image | None = None,
        *,
        controlnet: Any = None,
        control: PIL.Image.Image | None = None,
        **more: Any,
    ) -> Images:
        kind: Any = AutoPipelineForText2Image
        arguments: dict[str, Any] = {"width": request.width, "height": request.height}
        if request.task is Task.IMAGE_TO_IMAGE:
            kind = AutoPipelineForImage2Image
            arguments = {"image": image, "strength": request.strength}
        if request.task is Task.INPAINTING:
            kind = AutoPipelineForInpainting
            arguments |= {"image": image, "mask_image": mask, "strength": request.strength}
        if controlnet is not None:
            first = request.task is Task.TEXT_TO_IMAGE
            arguments |= {"image" if first else "control_image": control}
        pipeline = kind.from_pipe(self.pipeline, **({"controlnet": controlnet} if controlnet else {}))
        pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = schedulers.build(request.scheduler, self._config)
        count = request.num_images_per_prompt
        output = pipeline(
            request.prompt,
            negative_prompt=request.negative_prompt or None,
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
            num_images_per_prompt=count,
            generator=[torch.Generator().manual_seed((request.seed + k) % 2**32) for k in range(count)],
            **arguments,
            **more,
        )
        images: Images = output.images
        return images


def difference(some: Images, others: Images) -> int:
    """The largest difference of any pixel, 0–255."""
    assert len(some) == len(others)
    pairs = zip(some, others, strict=True)
    return max(int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()) for a, b in pairs)
