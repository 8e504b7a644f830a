"""FLUX.2 klein (Black Forest Labs, 2026): a transformer that reads three layers of Qwen3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import Flux2KleinPipeline
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from torch import Tensor

from generator.conditioning import ragged
from generator.conditioning.chat_text import chat_tokens, template_of
from generator.conditioning.tokens import Text, emphasize_apart
from generator.families.base import Conditions
from generator.families.flow_transformer import FlowTransformer

TEXT_TOKENS = 512
"""Every text is filled up to so many, and what fills it is read too: the model was trained so."""

LAYERS = (9, 18, 27)
"""Layers of the text encoder whose states are read side by side."""


class Flux2Klein(FlowTransformer):
    """A `Flux2Transformer2DModel` of patches, whose autoencoder's latents are normalised by channel."""

    pipeline_class: Any = Flux2KleinPipeline

    def _take_autoencoder(self, vae: Any) -> None:
        """Four latents of the autoencoder are one of the transformer's."""
        super()._take_autoencoder(vae)
        self.latent_scale *= 2

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        _, rows, columns = super().latent_shape(width, height)
        return (self.transformer.config.in_channels, rows, columns)

    def _shift(self, tokens: int, steps: int) -> float:
        return float(compute_empirical_mu(image_seq_len=tokens, num_steps=steps))

    def is_guided(self, guidance_scale: float) -> bool:
        """Never where guidance was distilled into the model."""
        return guidance_scale > 1 and not self._pipeline.config.is_distilled

    def _encoded(self, text: Text) -> Tensor:
        tokens = chat_tokens(self.tokenizer, template_of(self.tokenizer, thinking=False), text, TEXT_TOKENS)
        missing = TEXT_TOKENS - len(tokens.ids)
        ids = torch.tensor([[*tokens.ids, *[self.tokenizer.pad_token_id] * missing]], device=self.device)
        mask = torch.tensor([[1] * len(tokens.ids) + [0] * missing], device=self.device)
        states = self.text_encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False
        ).hidden_states
        found = torch.cat([states[layer] for layer in LAYERS], dim=-1)
        return emphasize_apart(found, torch.tensor([[*tokens.emphasis, *[1.0] * missing]]))

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        rows, channels, height, width = latents.shape
        words = conditions[ragged.WORDS]
        predicted = self.transformer(
            hidden_states=latents.flatten(2).mT.to(self.transformer.dtype),
            timestep=timesteps.to(latents.dtype) / 1000,
            guidance=None,
            encoder_hidden_states=words,
            txt_ids=_positions(rows, (1, 1, 1, words.shape[1])).to(self.device),
            img_ids=_positions(rows, (1, height, width, 1)).to(self.device),
            return_dict=False,
        )[0]
        found: Tensor = predicted.mT.reshape(rows, channels, height, width)
        return found

    def source_latents(self, pixels: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """The posterior's mode, as its pipeline takes reference images: the same for each generator."""
        return self.scaled(self.posterior(pixels).mode()).repeat(len(rngs), 1, 1, 1)

    def scaled(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents)
        scaled: Tensor = (self._pipeline._patchify_latents(latents) - mean) / std  # noqa: SLF001  diffusers' own
        return scaled.to(self.dtype)

    def decode(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.vae.dtype)
        mean, std = self._statistics(latents)
        return self.decoder(self._pipeline._unpatchify_latents(latents * std + mean))  # noqa: SLF001

    def _statistics(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        norm = self.vae.bn
        mean, variance = (
            each.view(1, -1, 1, 1).to(latents) for each in (norm.running_mean, norm.running_var)
        )
        return mean, (variance + self.vae.config.batch_norm_eps).sqrt()


def _positions(rows: int, counts: tuple[int, int, int, int]) -> Tensor:
    """(rows, tokens, 4): time, row, column and place in the text of each token."""
    axes = torch.cartesian_prod(*(torch.arange(count) for count in counts))
    return axes.expand(rows, -1, -1)
