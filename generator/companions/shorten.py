"""Weights of a prompt's words: how far the drawing goes elsewhere without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from generator.conditioning.prompts import Embedding
from generator.families.auxiliary import OnDevice, here
from generator.families.base import Denoising, Family

T = TypeVar("T")
R = TypeVar("R")

WINDOW = 25
"""Words that are read together: few enough for the 77 tokens that text encoders take at once."""
AT_A_TIME = 4
"""Rows of a network's call between two steps of what else is being drawn: as many as a grid has pictures."""
STEPS = 4
"""Steps of the drawing that is watched: eight, or several seeds, rank the words of a prompt the same."""
SHARES = (0.95, 0.85, 0.7, 0.55, 0.4)
"""Shares of the words' weight that the shorter prompts keep."""


@dataclass(frozen=True)
class Shortened:
    """The prompt's words with their weights (1 for the weightiest); shorter prompts, the longest first."""

    weights: tuple[tuple[str, float], ...]
    prompts: tuple[str, ...]


class Shortener:
    """Weighs the words of prompts for one model."""

    def __init__(
        self,
        family: Family,
        on_device: OnDevice = here,
        knows: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """A word that the model does not know by `knows` is neither read nor weighed nor kept."""
        self._family = family
        self._on_device = on_device
        self._knows = knows

    def shorten(self, prompt: str, on_progress: Callable[[float], None] | None = None) -> Shortened:
        """Weigh each word and leave out the lightest. What `on_progress` (told 0–1) raises stops it."""
        words = prompt.split()
        known = [place for place, word in enumerate(words) if self._knows(word)]
        read = [words[place] for place in known]
        distances: list[float] = []
        for begin in range(0, len(read), WINDOW):
            window = read[begin : begin + WINDOW]
            for step, added_up in enumerate(self._distances(window), 1):
                distances[begin:] = added_up
                if on_progress is not None:
                    on_progress((begin + len(window) * step / STEPS) / len(read))
        heaviest = max(distances, default=0.0) or 1.0
        weights = [0.0] * len(words)
        for place, distance in zip(known, distances, strict=True):
            weights[place] = distance / heaviest
        # Distances add up by their squares: many idle words are no subject.
        prompts = shorter(read, [weights[place] ** 2 for place in known])
        if read and len(read) < len(words):
            prompts = [" ".join(read).strip(" ,;:."), *prompts][: len(SHARES)]
        return Shortened(tuple(zip(words, weights, strict=True)), tuple(prompts))

    def _distances(self, words: Sequence[str]) -> Iterator[list[float]]:
        """Distances to which the drawing of all the words goes without each one, after each of its steps.

        At every step of a drawing of all the words the same step is made without each word too, and the
        distances between where they end are added up: the first step is of noise and the last of nearly a
        picture, so layout counts as well as colours and details.
        """
        texts = [" ".join(words), *(" ".join([*words[:i], *words[i + 1 :]]) for i in range(len(words)))]
        family, side = self._family, self._family.native_side
        embeddings = self._few_at_a_time(family.encode, texts)
        denoising = family.denoising(family.samplers[0], STEPS, size=(side, side), strength=None, rngs=[])
        latents, distances = denoising.initial(self._noise(), None), [0.0] * len(words)
        for call in range(len(denoising.times)):
            outputs = self._few_at_a_time(partial(self._predicted, denoising, call, latents), embeddings)
            step = partial(self._stepped, denoising, call, latents, outputs)
            latents, *without = self._on_device(partial(_inferred, step))
            for place, other in enumerate(without):
                distances[place] += (latents - other).float().square().mean().sqrt().item()
            yield distances

    def _few_at_a_time(self, compute: Callable[[Sequence[T]], list[R]], each: Sequence[T]) -> list[R]:
        found: list[R] = []
        for begin in range(0, len(each), AT_A_TIME):
            found += self._on_device(partial(_inferred, compute, each[begin : begin + AT_A_TIME]))
        return found

    def _predicted(
        self, denoising: Denoising, call: int, latents: Tensor, embeddings: Sequence[Embedding]
    ) -> list[Tensor]:
        """The model's predictions for the same latents, one for each embedding."""
        family, rows, side = self._family, len(embeddings), self._family.native_side
        seen = denoising.model_input(latents.to(family.device, family.dtype), call).expand(rows, -1, -1, -1)
        conditions = family.conditions(embeddings, [], size=(side, side), guidance_scale=1.0)
        timesteps = torch.tensor([denoising.times[call]] * rows, device=family.device)
        return list(torch.split(family.predict(seen, timesteps, conditions), 1))

    def _stepped(
        self, denoising: Denoising, call: int, latents: Tensor, outputs: Sequence[Tensor]
    ) -> list[Tensor]:
        """Latents of the next step from the same latents, one for each prediction."""
        begin = latents.to(self._family.device, self._family.dtype).expand(len(outputs), -1, -1, -1)
        return list(torch.split(denoising.step(torch.cat(list(outputs)), begin, call).cpu(), 1))

    def _noise(self) -> Tensor:
        """The same for every prompt, so that a word weighs tomorrow what it weighs today."""
        side = self._family.native_side
        shape = (1, *self._family.latent_shape(side, side))
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def _inferred(compute: Callable[..., R], *some: object) -> R:
    return compute(*some)


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
    """Number of weights, from the first on, that come to this share of all."""
    wanted, total = share * sum(weights), 0.0
    for count, weight in enumerate(weights, 1):
        total += weight
        if total >= wanted:
            return count
    return len(weights)
