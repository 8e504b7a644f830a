"""Masks of what words name in a picture, by a segmentation model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from transformers import AutoConfig, CLIPSegForImageSegmentation, CLIPSegProcessor

from generator import pretrained
from generator.conditioning import compositing
from generator.conditioning.guided_filter import filtered
from generator.families.auxiliary import Companion, OnDevice, here, reading

LIKELY = 0.5
"""The likelihood from which on a pixel belongs to what the words name."""
ALONG_EDGES = 0.4
"""The same where the likelihood follows the picture's own edges, which makes narrow parts fainter."""
RADIUS = 1 / 12
"""Distance from an edge of the picture at which the model may have seen it, in shorter sides."""
SMOOTHNESS = 1e-3
"""The variance of colours (0–1) from which on they are an edge."""
MARGIN = 1 / 64
"""Width by which a found part is grown, in shorter sides: outlines belong to what they go around."""


class Segmenter(Companion):
    """CLIPSeg in transformers' class and layout."""

    def __init__(
        self, network: Any, processor: Any, device: torch.device, on_device: OnDevice = here
    ) -> None:
        super().__init__(network, device, on_device)
        self._processor = processor

    @classmethod
    def load(cls, source: str, device: torch.device, on_device: OnDevice = here) -> Self:
        with reading("segmenter", source):
            kind = pretrained.beside(AutoConfig, source).model_type
            if kind != "clipseg":
                raise ValueError(f"it is a model of the kind {kind!r}, not of 'clipseg'")
            network = pretrained.network(CLIPSegForImageSegmentation, source, dtype=torch.float32)
            processor = pretrained.beside(CLIPSegProcessor, source)
            # What looks like the tokenizer's own marks is text like any other.
            processor.tokenizer.split_special_tokens = True
        return cls(network, processor, device, on_device)

    def find(self, image: PIL.Image.Image, words: str) -> PIL.Image.Image:
        """The mask (L, as large as the picture): white where the words' things are, and a little around.

        Commas, Chinese ones too, stand between several things; all that is found of any of them is white.
        """
        things = [thing for part in re.split("[,，、]", words) if (thing := part.strip())]
        guide = torch.from_numpy(np.array(image.convert("RGB"))).movedim(-1, 0) / 255
        found = filtered(self._seen(image, things).amax(dim=0), guide, RADIUS, SMOOTHNESS)
        white = PIL.Image.fromarray(((found > ALONG_EDGES) * 255).byte().numpy())
        return compositing.grown(white, max(2, round(min(image.size) * MARGIN)))

    def see(self, image: PIL.Image.Image, things: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(things, height, width) in the network's own resolution: where each of the things is."""
        seen: np.ndarray[Any, np.dtype[np.bool_]] = (self._seen(image, things) > LIKELY).numpy()
        return seen

    def _seen(self, image: PIL.Image.Image, things: Sequence[str]) -> Tensor:
        inputs = self._processor(
            text=list(things),
            images=[image.convert("RGB")] * len(things),
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        return self._on_device(lambda: self._likelihoods(inputs))

    @torch.inference_mode()
    def _likelihoods(self, inputs: Any) -> Tensor:
        """(things, height, width) of the network's own picture, 0–1."""
        logits = self._network(**inputs.to(self._device)).logits
        likelihoods: Tensor = logits.view(-1, *logits.shape[-2:]).sigmoid().cpu()
        return likelihoods
