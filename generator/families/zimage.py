"""Z-Image and Z-Image-Turbo (Tongyi-MAI, 2025): a single-stream transformer that reads Qwen3's states."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Self

import torch
from diffusers import ZImagePipeline
from torch import Tensor

from generator import pretrained
from generator.conditioning import ragged
from generator.conditioning.chat_text import chat_tokens
from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text, emphasize_apart
from generator.families import flow_matching
from generator.families.auxiliary import weights_bytes
from generator.families.base import Conditions, Denoising
from generator.families.flow_matching import FlowDenoising
from generator.families.latent_images import LatentImages
from generator.families.latent_preview import fit_colours

TEXT_TOKENS = 512


class ZImage(LatentImages):
    """A `ZImageTransformer2DModel`, which takes rows of texts of any length as lists."""

    samplers = tuple(flow_matching.TABLE)
    native_side = 1024
    patch = 2

    @classmethod
    def load(cls, source: str, device: torch.device, dtype: torch.dtype) -> Self:
        """In bfloat16 in place of float16, in which it overflows."""
        precision = torch.bfloat16 if dtype is torch.float16 else dtype
        return cls(pretrained.network(ZImagePipeline, source, dtype=precision), device)

    def __init__(self, pipeline: Any, device: torch.device) -> None:
        self.device = device
        self.dtype = torch.float32
        self.transformer = pipeline.transformer.to(device).eval()
        self.text_encoder = pipeline.text_encoder.to(device).eval()
        self.tokenizer = pipeline.tokenizer
        self._scheduler_config = pipeline.scheduler.config
        self._take_autoencoder(pipeline.vae.to(device))
        self.colours = fit_colours(self)
        self.prompts = self.negatives = PromptCache(self.encode)

    @property
    def modules(self) -> Sequence[torch.nn.Module]:
        return (self.transformer, self.vae, self.text_encoder)

    @property
    def size_bytes(self) -> int:
        return weights_bytes(*self.modules)

    def work_per_row(self, latent_pixels: int) -> float:
        weights: int = sum(weight.numel() for weight in self.transformer.parameters())
        return latent_pixels * weights

    def replace_networks(self, quicker: Callable[[Any], Any]) -> None:
        """Its decoder alone: the transformer's rows are lists of another length at every call."""
        self.decoder = quicker(self.decoder)

    def encode(self, texts: Sequence[Text]) -> list[Embedding]:
        """Each by itself: the last layer but one, of as many tokens as the text has."""
        return [self._encoded(text) for text in texts]

    def _encoded(self, text: Text) -> Embedding:
        tokens = chat_tokens(self.tokenizer, text, TEXT_TOKENS)
        ids = torch.tensor([tokens.ids], device=self.device)
        states = self.text_encoder(input_ids=ids, output_hidden_states=True).hidden_states[-2]
        return Embedding(emphasize_apart(states, torch.tensor([tokens.emphasis])))

    def is_guided(self, guidance_scale: float) -> bool:
        """Above 0: its scale is one less than others'."""
        return guidance_scale > 0

    def guide(self, output: Tensor, guidance_scale: float) -> Tensor:
        without, with_prompt = output.chunk(2)
        return with_prompt + guidance_scale * (with_prompt - without)

    def conditions(
        self,
        positive: Sequence[Embedding],
        negative: Sequence[Embedding],
        *,
        size: tuple[int, int],
        guidance_scale: float,
    ) -> Conditions:
        del size, guidance_scale
        return ragged.stacked([each.tokens for each in (*negative, *positive)])

    def batch_key(self, shape: Sequence[int], conditions: Conditions) -> Hashable:
        """Texts of any length share a call."""
        del conditions
        return tuple(shape)

    def joined(self, conditions: Sequence[Conditions]) -> Conditions:
        return ragged.joined(conditions)

    def denoising(
        self,
        sampler: str,
        steps: int,
        *,
        size: tuple[int, int],
        strength: float | None,
        rngs: list[torch.Generator],
    ) -> Denoising:
        _, height, width = self.latent_shape(*size)
        mu = flow_matching.linear_shift(height * width // self.patch**2, self._scheduler_config)
        scheduler = flow_matching.scheduler_of(sampler, self._scheduler_config, steps, mu)
        return FlowDenoising(scheduler, steps, strength=strength, rngs=rngs)

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        """Its time runs from 0 to 1, and it predicts image − noise."""
        images = list(latents.to(self.transformer.dtype)[:, :, None].unbind(0))
        found = self.transformer(images, 1 - timesteps / 1000, ragged.rows(conditions), return_dict=False)[0]
        return -torch.stack([each.float() for each in found])[:, :, 0]
