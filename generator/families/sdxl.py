"""Stable Diffusion XL: two text encoders, and the size of the picture as a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from generator.conditioning.prompts import Embedding
from generator.conditioning.tokens import Text, emphasize, tokenize
from generator.families.sd import Conditions, StableDiffusion


class StableDiffusionXL(StableDiffusion):
    pipeline_class: Any = StableDiffusionXLPipeline
    load_arguments: Mapping[str, Any] = {"add_watermarker": False}

    def _take_text_encoders(self, pipeline: Any) -> None:
        self.tokenizers = (pipeline.tokenizer, pipeline.tokenizer_2)
        self.text_encoders = (pipeline.text_encoder.to(self.device), pipeline.text_encoder_2.to(self.device))
        self._zeros_for_empty: bool = pipeline.config.force_zeros_for_empty_prompt

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        return (self.unet, self.vae, *self.text_encoders)

    def encode(self, text: Text) -> Embedding:
        """The last but one layer of both encoders side by side; pooled is the second's first chunk."""
        states, pooled = [], None
        for tokenizer, encoder in zip(self.tokenizers, self.text_encoders, strict=True):
            tokens = tokenize(tokenizer, text)
            output = encoder(tokens.ids.to(self.device), output_hidden_states=True)
            pooled = output[0][:1]
            # Each by itself: their sizes differ, and so does what each takes a text's mean to be.
            states.append(emphasize(output.hidden_states[-2], tokens.emphasis).flatten(0, 1)[None])
        assert pooled is not None
        return Embedding(torch.cat(states, dim=-1).to(self.dtype), pooled.to(self.dtype))

    def encode_negative(self, text: Text) -> Embedding:
        embedding = self.encode(text)
        if text or not self._zeros_for_empty or embedding.pooled is None:
            return embedding
        return Embedding(torch.zeros_like(embedding.tokens), torch.zeros_like(embedding.pooled))

    def meaning(self, text: Text) -> Tensor:
        """(width,): what the second encoder was trained to say of a text as a whole."""
        pooled = self.encode(text).pooled
        assert pooled is not None
        return pooled[0]

    def _more_conditions(self, sides: Sequence[Embedding], size: tuple[int, int]) -> Conditions:
        width, height = size
        # Original size, crop and target size: an uncropped picture of just this size.
        numbers = torch.tensor([[height, width, 0, 0, height, width]], dtype=self.dtype, device=self.device)
        pooled = [side.pooled for side in sides if side.pooled is not None]
        return {"text_embeds": torch.cat(pooled), "time_ids": numbers.repeat(len(sides), 1)}
