"""Weights of a prompt's words: what leaving one out changes of what the model reads is its weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from generator.companion import OnDevice, here
from generator.families.sd import StableDiffusion

WINDOW = 25
"""Words that are read together: few enough for the 77 tokens that text encoders take at once."""
AT_A_TIME = 8
"""Texts encoded between two steps of what else is being drawn."""
SHARES = (0.95, 0.85, 0.7, 0.55, 0.4)
"""Shares of the words' weight that the shorter prompts keep."""


@dataclass(frozen=True)
class Shortened:
    """The prompt's words with their weights (1 for the weightiest); shorter prompts, the longest first."""

    weights: tuple[tuple[str, float], ...]
    prompts: tuple[str, ...]


class Shortener:
    """Reads prompts as one model's text encoder does."""

    def __init__(self, family: StableDiffusion, on_device: OnDevice = here) -> None:
        self._family = family
        self._on_device = on_device

    def shorten(self, prompt: str, on_progress: Callable[[float], None] | None = None) -> Shortened:
        """Weigh each word and leave out the lightest. What `on_progress` (told 0–1) raises stops it."""
        words = prompt.split()
        distances: list[float] = []
        for begin in range(0, len(words), WINDOW):
            distances += self._distances(words[begin : begin + WINDOW])
            if on_progress is not None:
                on_progress(len(distances) / len(words))
        heaviest = max(distances, default=0.0) or 1.0
        weights = [distance / heaviest for distance in distances]
        return Shortened(tuple(zip(words, weights, strict=True)), tuple(shorter(words, weights)))

    def _distances(self, words: Sequence[str]) -> list[float]:
        """1 − cosine between what all the words mean and what they mean without each one."""
        texts = [" ".join(words), *(" ".join([*words[:i], *words[i + 1 :]]) for i in range(len(words)))]
        meanings = []
        for begin in range(0, len(texts), AT_A_TIME):
            some = texts[begin : begin + AT_A_TIME]
            meanings += self._on_device(lambda some=some: self._meanings(some))  # type: ignore[misc]
        whole, *without = meanings
        return [max(0.0, 1 - functional.cosine_similarity(whole, each, dim=0).item()) for each in without]

    @torch.inference_mode()
    def _meanings(self, texts: Sequence[str]) -> list[torch.Tensor]:
        return [meaning.float().cpu() for meaning in self._family.meanings(texts)]


def shorter(words: Sequence[str], weights: Sequence[float]) -> list[str]:
    """Five prompts of the weightiest words in their order, each shorter than the one before.

    There are fewer for less than six words.
    """
    heaviest_first = sorted(range(len(words)), key=lambda index: -weights[index])
    prompts = []
    most = len(words) - 1
    for still_to_come, share in zip(reversed(range(len(SHARES))), SHARES, strict=True):
        enough = _enough([weights[index] for index in heaviest_first], share)
        kept = min(max(enough, still_to_come + 1), most)
        if kept < 1:
            break
        chosen = sorted(heaviest_first[:kept])
        prompts.append(" ".join(words[index] for index in chosen).strip(" ,;:.") or words[chosen[0]])
        most = kept - 1
    return prompts


def _enough(weights: Sequence[float], share: float) -> int:
    """How many of the weights, from the first on, come to this share of all."""
    wanted, total = share * sum(weights), 0.0
    for count, weight in enumerate(weights, 1):
        total += weight
        if total >= wanted:
            return count
    return len(weights)
