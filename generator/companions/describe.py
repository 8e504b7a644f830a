"""Pictures as prompts, by a captioning model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import PIL.Image
import torch
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from generator import devices, pretrained
from generator.families.auxiliary import Companion, OnDevice, here, reading
from storage.contract import SEED_SPACE

LONGEST = 60
"""Tokens of a description."""
TEMPERATURE = 0.7
TOP_P = 0.9
TRIES = 3
"""Descriptions asked for, at most, for each that is wanted: some come out alike."""


class Describer(Companion):
    """A transformers image-to-text network that needs no question (BLIP, GIT, an encoder with a decoder)."""

    def __init__(
        self, network: Any, processor: Any, tokenizer: Any, device: torch.device, on_device: OnDevice = here
    ) -> None:
        super().__init__(network, device, on_device)
        # A limit of the model's own beside ours would be warned of at every description.
        self._network.generation_config.max_length = None
        places = getattr(network.config.get_text_config(decoder=True), "max_position_embeddings", None)
        self._longest = LONGEST if places is None else min(LONGEST, places - 1)
        self._processor = processor
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, source: str, device: torch.device, on_device: OnDevice = here) -> Self:
        with reading("describer", source):
            network = pretrained.network(AutoModelForImageTextToText, source, dtype=torch.float32)
            processor = pretrained.beside(AutoImageProcessor, source)
            tokenizer = pretrained.beside(AutoTokenizer, source)
        return cls(network, processor, tokenizer, device, on_device)

    def describe(
        self,
        image: PIL.Image.Image,
        count: int,
        seed: int,
        on_progress: Callable[[float], None] | None = None,
    ) -> list[str]:
        """At most `count` different descriptions, the same for the same seed; a stubborn model gives fewer.

        What `on_progress` (told 0–1) raises stops it.
        """
        pixels = self._pixels(image)
        found: dict[str, None] = {}
        for number in range(TRIES * count):
            found |= dict.fromkeys(filter(None, [self._sampled(pixels, (seed + number) % SEED_SPACE)]))
            if on_progress is not None:
                on_progress(len(found) / count)
            if len(found) == count:
                break
        return list(found)

    def likeliest(self, image: PIL.Image.Image) -> str:
        """The one description that the model finds likeliest, word by word."""
        pixels = self._pixels(image)
        return self._on_device(lambda: self._text(pixels, do_sample=False))

    def _pixels(self, image: PIL.Image.Image) -> Tensor:
        pixels: Tensor = self._processor(image.convert("RGB"), return_tensors="pt").pixel_values
        return pixels

    def _sampled(self, pixels: Tensor, seed: int) -> str:
        def sample() -> str:
            # Transformers draws from torch's one random source: what it was is put back.
            with devices.random_state_kept(self._device):
                torch.manual_seed(seed)
                return self._text(pixels, do_sample=True, temperature=TEMPERATURE, top_p=TOP_P, top_k=0)

        return self._on_device(sample)

    @torch.inference_mode()
    def _text(self, pixels: Tensor, **how: Any) -> str:
        ids = self._network.generate(
            pixel_values=pixels.to(self._device), max_new_tokens=self._longest, num_beams=1, **how
        )
        text: str = self._tokenizer.decode(ids[0], skip_special_tokens=True)
        return " ".join(text.split()).strip(" .,")
