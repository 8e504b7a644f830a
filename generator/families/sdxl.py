"""Stable Diffusion XL: two text encoders, and the size of the picture as a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from generator.conditioning.prompts import Embedding
from generator.conditioning.tokens import Text, emphasize, encoded, tokenize
from generator.families.base import Conditions, Denoising
from generator.families.denoising import DiffusionDenoising
from generator.families.relay import Relay
from generator.families.sd import StableDiffusion


class StableDiffusionXL(StableDiffusion):
    pipeline_class: Any = StableDiffusionXLPipeline
    load_arguments: Mapping[str, Any] = {"add_watermarker": False}
    upcasts_vae = True

    def _take_text_encoders(self, pipeline: Any) -> None:
        self.tokenizers: tuple[Any, ...] = (pipeline.tokenizer, pipeline.tokenizer_2)
        self.text_encoders: tuple[Any, ...] = (
            self._placement.text_encoder(pipeline.text_encoder),
            self._placement.text_encoder(pipeline.text_encoder_2),
        )
        self._zeros_for_empty: bool = pipeline.config.force_zeros_for_empty_prompt

    @property
    def read_by(self) -> tuple[torch.nn.Module, ...]:
        return self.text_encoders

    def relay(self, first: Denoising, last: Denoising, part: float) -> Relay | None:
        """Cut where `denoising_end` and `denoising_start` of diffusers' pipelines cut."""
        assert isinstance(first, DiffusionDenoising)
        assert isinstance(last, DiffusionDenoising)
        alone = first.begun and not first.calls_before(part)
        if alone or not last.calls_after(part):
            return None
        first.end_at(part)
        last.begin_at(part)
        return Relay(first, last)

    def _encode(self, texts: Sequence[Text], skip: int) -> list[Embedding]:
        """The last but one layer (and `skip` before it) of both encoders side by side; pooled is the second's
        first chunk.
        """
        sides = []
        for tokenizer, encoder, named in zip(self.tokenizers, self.text_encoders, self.named, strict=True):
            tokens = [tokenize(tokenizer, text, named) for text in texts]
            found = encoded(partial(self._read_with, encoder, skip), tokens, self.texts_at_once)
            # Each by itself: their sizes differ, and so does what each takes a text's mean to be.
            states = [
                emphasize(state, each.emphasis).flatten(0, 1)[None]
                for each, (state, _) in zip(tokens, found, strict=True)
            ]
            sides.append(states)
            pooled = [whole[:1].to(self.dtype) for _, whole in found]
        tokens_of = (torch.cat(pair, dim=-1).to(self.dtype) for pair in zip(*sides, strict=True))
        return [Embedding(*pair) for pair in zip(tokens_of, pooled, strict=True)]

    def _read_with(self, encoder: Any, skip: int, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        del mask  # as diffusers' pipeline does
        output = encoder(ids.to(self.device), output_hidden_states=True)
        return output.hidden_states[-2 - skip], output[0]

    def _encode_negative(self, texts: Sequence[Text]) -> list[Embedding]:
        embeddings = super()._encode_negative(texts)
        if self._zeros_for_empty:
            return [each if text else _zeros(each) for text, each in zip(texts, embeddings, strict=True)]
        return embeddings

    def _more_conditions(self, sides: Sequence[Embedding], size: tuple[int, int]) -> Conditions:
        width, height = size
        # Original size, crop and target size: an uncropped picture of just this size.
        numbers = torch.tensor([[height, width, 0, 0, height, width]], dtype=self.dtype, device=self.device)
        pooled = [side.pooled for side in sides if side.pooled is not None]
        return {"text_embeds": torch.cat(pooled), "time_ids": numbers.repeat(len(sides), 1)}


def _zeros(embedding: Embedding) -> Embedding:
    return Embedding(*(torch.zeros_like(each) for each in embedding if each is not None))
