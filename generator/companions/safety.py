"""The safety check: diffusers' own checker, its scores kept and the pictures left as they are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import PIL.Image
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker, cosine_distance
from torch import Tensor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from generator import pretrained
from generator.families.auxiliary import Companion, OnDevice, here, reading
from generator.families.sources import index, is_single_file
from storage.catalog_model import ModelEntry
from storage.errors import CatalogError

log = logging.getLogger(__name__)

CARE = 0.01
"""Amount that a picture of special care (a child) adds to every concept's score, as in diffusers' checker."""


@dataclass(frozen=True)
class Verdict:
    """`scores`: how far each concept's likeness is above its threshold; above 0 is unsafe."""

    unsafe: bool
    scores: dict[str, float]


class SafetyCheck(Protocol):
    def check(self, images: Sequence[PIL.Image.Image]) -> list[Verdict]:
        """One verdict for each picture, in order."""
        ...


class NoCheck:
    """`EASEL_SAFETY=off`: every picture passes."""

    def check(self, images: Sequence[PIL.Image.Image]) -> list[Verdict]:
        return [Verdict(unsafe=False, scores={}) for _ in images]


class CheckerFolder(Companion):
    """The check by a model's own `StableDiffusionSafetyChecker`, in full precision on every device."""

    def __init__(
        self, checker: Any, processor: Any, device: torch.device, on_device: OnDevice = here
    ) -> None:
        super().__init__(checker, device, on_device)
        self._processor = processor

    @classmethod
    def load(cls, source: str, device: torch.device, on_device: OnDevice = here) -> Self:
        """Load from a model's folder or id, or from one that is a checker alone.

        Raises:
            CatalogError: there is no checker that can be loaded.
        """
        whole = Path(source, "config.json").is_file() or not _is_pipeline(source)
        checker_at = {} if whole else {"subfolder": "safety_checker"}
        processor_at = {} if whole else {"subfolder": "feature_extractor"}
        with reading("safety checker", source):
            checker = pretrained.network(
                StableDiffusionSafetyChecker, source, dtype=torch.float32, **checker_at
            )
            processor = pretrained.beside(CLIPImageProcessorPil, source, **processor_at)
        return cls(checker, processor, device, on_device)

    def check(self, images: Sequence[PIL.Image.Image]) -> list[Verdict]:
        """One verdict for each picture; a picture whose crop would hide a part is also judged whole."""
        if not images:
            return []
        views = [(index, view) for index, image in enumerate(images) for view in self._views(image)]
        pixels = self._processor([view for _, view in views], return_tensors="pt").pixel_values
        above = self._on_device(lambda: self._above_threshold(pixels))
        owners = np.array([index for index, _ in views])
        return [_verdict(above[owners == index].max(axis=0)) for index in range(len(images))]

    def _views(self, image: PIL.Image.Image) -> list[PIL.Image.Image]:
        image = image.convert("RGB")
        if not self._processor.do_center_crop or image.width == image.height:
            return [image]
        side = max(image.size)
        return [image, image.resize((side, side))]

    @torch.inference_mode()
    def _above_threshold(self, pixels: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(pictures, concepts): as `StableDiffusionSafetyChecker.forward` computes them."""
        checker = self._network
        pooled = checker.vision_model(pixels.to(self._device, torch.float32))[1]
        embedded = checker.visual_projection(pooled)
        special = cosine_distance(embedded, checker.special_care_embeds) - checker.special_care_embeds_weights
        concepts = cosine_distance(embedded, checker.concept_embeds) - checker.concept_embeds_weights
        care = (special.cpu().float().numpy().round(3) > 0).any(axis=1, keepdims=True) * CARE
        above: np.ndarray[Any, np.dtype[np.float32]] = (concepts.cpu().float().numpy() + care).round(3)
        return above


def _verdict(above: np.ndarray[Any, np.dtype[np.float32]]) -> Verdict:
    scores = {str(concept): round(float(score), 3) for concept, score in enumerate(above)}
    # Not `any(score > 0)`: a number that is none (an overflow) must not pass.
    return Verdict(unsafe=not bool((above <= 0).all()), scores=scores)


def checker_source(entry: ModelEntry) -> str:
    """Source of a model's safety checker.

    Raises:
        CatalogError: it has none; the text says what to do.
    """
    if entry.safety_checker is not None:
        return entry.safety_checker
    if not is_single_file(entry.source) and _has_checker(entry.source):
        return entry.source
    raise CatalogError(
        f"Model {entry.name!r} has no safety checker: name one with safety_checker in its catalog entry,"
        " for example CompVis/stable-diffusion-safety-checker. (EASEL_SAFETY=off draws unchecked, and then"
        " only in age-restricted channels.)"
    )


def _is_pipeline(source: str) -> bool:
    return bool(index(source))


def _has_checker(source: str) -> bool:
    named = index(source).get("safety_checker")
    return isinstance(named, list) and bool(named) and bool(named[0])
