"""Stable Diffusion XL's refiner: made for the last fifth of the noise, it reads the larger text encoder alone
and how beautiful a picture shall be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline

from generator.conditioning.prompts import Embedding
from generator.conditioning.textual_inversion import NONE, NamedVectors
from generator.families import pipelines
from generator.families.base import Conditions
from generator.families.sdxl import StableDiffusionXL
from generator.families.sources import unusable
from generator.memory.plan import PLAIN, MemoryPlan
from storage.catalog_files import ModelFiles

SCORE, UNWANTED_SCORE = 6.0, 2.5
"""Aesthetic scores of prompt and negative prompt, in diffusers' pipeline as in the training's tables."""


class StableDiffusionXLRefiner(StableDiffusionXL):
    pipeline_class: Any = StableDiffusionXLImg2ImgPipeline
    named: Sequence[NamedVectors] = (NONE,)

    @classmethod
    def load(
        cls, files: ModelFiles, device: torch.device, dtype: torch.dtype, plan: MemoryPlan = PLAIN
    ) -> Self:
        pipeline = pipelines.load(cls.pipeline_class, files, device, dtype, **cls.load_arguments)
        if pipeline.text_encoder is not None or not pipeline.config.requires_aesthetics_score:
            raise unusable(files.source, "it is no refiner of Stable Diffusion XL: it draws by itself.")
        return cls(pipeline, device, dtype, plan)

    def _take_text_encoders(self, pipeline: Any) -> None:
        self.tokenizers = (pipeline.tokenizer_2,)
        self.text_encoders = (self._placement.text_encoder(pipeline.text_encoder_2),)
        self._zeros_for_empty = pipeline.config.force_zeros_for_empty_prompt

    def conditions(
        self,
        positive: Sequence[Embedding],
        negative: Sequence[Embedding],
        *,
        size: tuple[int, int],
        guidance_scale: float,
    ) -> Conditions:
        rows = super().conditions(positive, negative, size=size, guidance_scale=guidance_scale)
        width, height = size
        scores = [UNWANTED_SCORE] * len(negative) + [SCORE] * len(positive)
        numbers = [[height, width, 0, 0, score] for score in scores]
        return {**rows, "time_ids": torch.tensor(numbers, dtype=self.dtype, device=self.device)}
