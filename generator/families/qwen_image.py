"""Qwen-Image (Alibaba, 2025): a two-stream transformer that reads Qwen2.5-VL's states."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import QwenImagePipeline
from torch import Tensor

from generator.conditioning import ragged
from generator.conditioning.chat_text import chat_tokens
from generator.conditioning.tokens import Text, emphasize_apart
from generator.families.base import Conditions
from generator.families.flow_transformer import FlowTransformer


class FrameDecoder(torch.nn.Module):
    """A video autoencoder's second half, for one frame."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """(n, channels, height, width) of the autoencoder's own latents to pixels in −1…1."""
        pixels: Tensor = self.vae.decode(latents[:, :, None], return_dict=False)[0][:, :, 0]
        return pixels


class FramePosterior:
    """A video autoencoder's distribution of latents, of one frame."""

    def __init__(self, posterior: Any) -> None:
        self._posterior = posterior

    def sample(self, rng: torch.Generator) -> Tensor:
        found: Tensor = self._posterior.sample(rng)[:, :, 0]
        return found

    def mode(self) -> Tensor:
        found: Tensor = self._posterior.mode()[:, :, 0]
        return found


class QwenImage(FlowTransformer):
    """A `QwenImageTransformer2DModel`, with an autoencoder of videos."""

    pipeline_class: Any = QwenImagePipeline
    patch = 2

    def _take_autoencoder(self, vae: Any) -> None:
        self.vae = vae
        self._take_processors(self._pipeline.vae_scale_factor)
        self.decoder = FrameDecoder(vae)

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.z_dim)

    def _encoded(self, text: Text) -> Tensor:
        """The last layer, without the template's beginning."""
        begin: int = self._pipeline.prompt_template_encode_start_idx
        most = self._pipeline.tokenizer_max_length + begin
        tokens = chat_tokens(self.tokenizer, self._pipeline.prompt_template_encode, text, most)
        ids = torch.tensor([tokens.ids], device=self.device)
        states = self.text_encoder(
            input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True
        ).hidden_states[-1]
        return emphasize_apart(states[:, begin:], torch.tensor([tokens.emphasis[begin:]]))

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        rows, _, height, width = latents.shape
        words, lengths = conditions[ragged.WORDS], conditions[ragged.LENGTHS]
        mask = torch.arange(words.shape[1]) < lengths[:, None]
        predicted = self.transformer(
            hidden_states=_packed(latents).to(self.transformer.dtype),
            timestep=timesteps.to(latents.dtype) / 1000,
            encoder_hidden_states=words,
            # Without a mask, where nothing is filled up, the quickest attention is taken.
            encoder_hidden_states_mask=None if bool(mask.all()) else mask.long().to(self.device),
            img_shapes=[[(1, height // self.patch, width // self.patch)]] * rows,
            return_dict=False,
        )[0]
        return _unpacked(predicted, height, width)

    def guide(self, output: Tensor, guidance_scale: float) -> Tensor:
        """Each token as long as it is with the prompt alone."""
        without, with_prompt = _packed(output).chunk(2)
        guided = without + guidance_scale * (with_prompt - without)
        length, own = (each.norm(dim=-1, keepdim=True) for each in (guided, with_prompt))
        return _unpacked(guided * (own / length), *output.shape[-2:])

    def posterior(self, pixels: Tensor) -> FramePosterior:
        frames = pixels.to(self.device, self.vae.dtype)[:, :, None]
        return FramePosterior(self.vae.encode(frames).latent_dist)


def _packed(latents: Tensor) -> Tensor:
    """(n, channels, height, width) as (n, tokens, 4 · channels), two by two latents a token."""
    rows, channels, height, width = latents.shape
    patches = latents.view(rows, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(rows, -1, channels * 4)


def _unpacked(tokens: Tensor, height: int, width: int) -> Tensor:
    rows, _, numbers = tokens.shape
    patches = tokens.view(rows, height // 2, width // 2, numbers // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(rows, numbers // 4, height, width)
