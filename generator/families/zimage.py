"""Z-Image and Z-Image-Turbo (Tongyi-MAI, 2025): a single-stream transformer that reads Qwen3's states."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import ZImagePipeline
from torch import Tensor

from generator.conditioning import ragged
from generator.conditioning.chat_text import chat_tokens, template_of
from generator.conditioning.tokens import Text, emphasize_apart
from generator.families.base import Conditions
from generator.families.flow_transformer import FlowTransformer

TEXT_TOKENS = 512


class ZImage(FlowTransformer):
    """A `ZImageTransformer2DModel`, which takes images and texts as lists of rows."""

    pipeline_class: Any = ZImagePipeline
    keeps_float32 = True
    patch = 2

    def _encoded(self, text: Text) -> Tensor:
        """The last layer but one, of as many tokens as the text has."""
        tokens = chat_tokens(self.tokenizer, template_of(self.tokenizer, thinking=True), text, TEXT_TOKENS)
        ids = torch.tensor([tokens.ids], device=self.device)
        states = self.text_encoder(input_ids=ids, output_hidden_states=True).hidden_states[-2]
        return emphasize_apart(states, torch.tensor([tokens.emphasis]))

    def is_guided(self, guidance_scale: float) -> bool:
        """Above 0: its scale is one less than others'."""
        return guidance_scale > 0

    def guide(self, output: Tensor, guidance_scale: float) -> Tensor:
        without, with_prompt = output.chunk(2)
        return with_prompt + guidance_scale * (with_prompt - without)

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        """Its time runs from 0 to 1, and it predicts image − noise."""
        images = list(latents.to(self.transformer.dtype)[:, :, None].unbind(0))
        found = self.transformer(images, 1 - timesteps / 1000, ragged.rows(conditions), return_dict=False)[0]
        return -torch.stack([each.float() for each in found])[:, :, 0]
