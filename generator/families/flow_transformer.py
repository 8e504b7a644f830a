"""Families of flow matching: a transformer that reads a language model's states, with its autoencoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from generator import pretrained
from generator.conditioning import ragged
from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text
from generator.families import flow_matching
from generator.families.auxiliary import weights_bytes
from generator.families.base import Conditions, Denoising
from generator.families.flow_matching import FlowDenoising
from generator.families.latent_images import LatentImages
from generator.families.latent_preview import fit_colours
from generator.families.sources import unusable
from generator.memory.plan import PLAIN, MemoryPlan
from storage.catalog_files import FILES_OF_DIFFUSION, ModelFiles


class FlowTransformer(LatentImages):
    """The part that such families share. Texts of any length share a call."""

    samplers = tuple(flow_matching.TABLE)
    native_side = 1024
    pipeline_class: Any
    keeps_float32 = False
    """True if latents are in float32 between two calls, whatever the networks' precision."""

    @classmethod
    def load(
        cls, files: ModelFiles, device: torch.device, dtype: torch.dtype, plan: MemoryPlan = PLAIN
    ) -> Self:
        """In bfloat16 in place of float16, in which these networks overflow; by no memory plan."""
        del plan
        _refuse_keys(files)
        precision = torch.bfloat16 if dtype is torch.float16 else dtype
        return cls(pretrained.network(cls.pipeline_class, files.source, dtype=precision), device)

    def __init__(self, pipeline: Any, device: torch.device) -> None:
        self.device = device
        self.transformer = pipeline.transformer.to(device).eval()
        self.text_encoder = pipeline.text_encoder.to(device).eval()
        self.tokenizer = pipeline.tokenizer
        self.dtype = torch.float32 if self.keeps_float32 else self.transformer.dtype
        self._pipeline = pipeline
        self._scheduler_config = pipeline.scheduler.config
        self._take_autoencoder(pipeline.vae.to(device).eval())
        self.colours = fit_colours(self)
        self.prompts = self.negatives = PromptCache(self.encode)

    @property
    def modules(self) -> Sequence[torch.nn.Module]:
        return (self.transformer, self.vae, self.text_encoder)

    @property
    def size_bytes(self) -> int:
        return weights_bytes(*self.modules, on=self.device)

    def work_per_row(self, latent_pixels: int) -> float:
        weights: int = sum(weight.numel() for weight in self.transformer.parameters())
        return latent_pixels * weights

    def replace_networks(self, quicker: Callable[[Any], Any]) -> None:
        """The decoder alone: the transformer's texts are of another length at every call."""
        self.decoder = quicker(self.decoder)

    def encode(self, texts: Sequence[Text]) -> list[Embedding]:
        """Each by itself, so that none is filled up to another's length."""
        return [Embedding(self._encoded(text).to(self.transformer.dtype)) for text in texts]

    @abstractmethod
    def _encoded(self, text: Text) -> Tensor:
        """States of the text encoder for a text: (1, tokens, width)."""

    def is_guided(self, guidance_scale: float) -> bool:
        return guidance_scale > 1

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
        mu = self._shift(height * width // self.patch**2, steps)
        scheduler = flow_matching.scheduler_of(sampler, self._scheduler_config, steps, mu)
        return FlowDenoising(scheduler, steps, strength=strength, rngs=rngs)

    def _shift(self, tokens: int, steps: int) -> float:
        """The schedule's μ for an image of so many tokens."""
        del steps
        return flow_matching.linear_shift(tokens, self._scheduler_config)


def _refuse_keys(files: ModelFiles) -> None:
    named = [key for key in FILES_OF_DIFFUSION if getattr(files, key) not in (None, 0, 0.0)]
    if named:
        reason = f"`{named[0]}` is for Stable Diffusion, and this is another kind of model: take it out."
        raise unusable(files.source, reason)
