"""Embeddings of a request's words: one for each picture of its grid, and the negative one."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text
from storage.catalog_model import ModelEntry
from storage.contract import SEED_SPACE, GenerationRequest, Phrase

FULL = 1000
REACH = 0.8
"""Share of the way to the prompt with style words that `stylize` 1000 moves the bare prompt's embedding."""

CHAOS_REACH = 0.8
"""Share of the way to the prompt with a phrase of its own that `chaos` 100 moves each picture's embedding."""

WEIRD_FULL = 3000
WEIRD_REACH = 0.35
WEIRD_ANGLE = 0.35
"""Share of the way to a weird phrase that `weird` 3000 leans, and radians by which it then turns at
random.
"""

SAME_AS = 0.5
"""`x::-0.5` beside parts that weigh 1 together is the negative prompt `x`, as in Midjourney."""


CHAOS = (
    "at night", "at dawn", "in the snow", "by the sea", "in the desert", "in the city", "in the forest",
    "in the rain", "watercolor", "oil painting", "pencil sketch", "pixel art", "close-up", "seen from above",
)  # fmt: skip
WEIRD = ("surreal", "bizarre", "made of glass", "upside down", "psychedelic", "in an impossible place")


@dataclass(frozen=True)
class ModelPhrases:
    """Phrases that a model lends to prompts; `chaos` and `weird` have some that any model knows."""

    style: str = ""
    chaos: tuple[str, ...] = CHAOS
    weird: tuple[str, ...] = WEIRD
    triggers: Mapping[str, str] = field(default_factory=dict)
    """Words that a LoRA was taught with, by its name."""
    always: tuple[str, ...] = ()
    """The same of LoRAs that are part of the model."""

    @classmethod
    def of(cls, entry: ModelEntry) -> ModelPhrases:
        triggers = {name: lora.trigger for name, lora in entry.loras.items() if lora.trigger}
        always = tuple(lora.trigger for lora in entry.always_loras.values() if lora.trigger)
        chaos, weird = entry.chaos_phrases or CHAOS, entry.weird_phrases or WEIRD
        return cls(entry.style_words, chaos, weird, triggers, always)

    def triggers_of(self, request: GenerationRequest) -> str:
        """Trigger words of the model's and the request's LoRAs that the prompt lacks."""
        words = (*self.always, *(self.triggers.get(lora.name, "") for lora in request.loras if lora.weight))
        return ", ".join(each for each in words if each and each.casefold() not in request.prompt.casefold())


_NOTHING = Embedding(torch.ones(1, 1, 1))


def texts(request: GenerationRequest, lexicon: ModelPhrases, *, guided: bool) -> list[Text]:
    """Texts that `positive`, and if `guided` `negative`, will look up: found by letting them where nothing
    is.
    """
    asked: list[Text] = []

    def note(found: Sequence[Text]) -> list[Embedding]:
        asked.extend(found)
        return [_NOTHING] * len(found)

    nothing = PromptCache(note)
    positive(request, lexicon, nothing)
    if guided:
        negative(request, nothing)
    return asked


def positive(request: GenerationRequest, lexicon: ModelPhrases, cache: PromptCache) -> list[Embedding]:
    """One embedding for each picture. Each takes its chances from its own seed, as if it were drawn alone."""
    grid = _styled(request, lexicon, cache)
    return [
        _apart(request, lexicon, cache, grid, request.seed_of(index))
        for index in range(request.num_images_per_prompt)
    ]


def negative(request: GenerationRequest, cache: PromptCache) -> Embedding:
    """The negative prompt, with the parts of negative weight blended in."""
    positive_weight = sum(part.weight for part in request.parts if part.weight > 0)
    parts = [
        (part.phrases, -part.weight / positive_weight / SAME_AS) for part in request.parts if part.weight < 0
    ]
    rest = 1.0 if request.negative_prompt else max(0.0, 1.0 - sum(weight for _, weight in parts))
    unwanted: list[tuple[Text, float]] = [
        (part.phrases, part.weight) for part in request.negative_parts if part.weight
    ]
    unwanted = unwanted or [(request.negative_prompt, 1.0)]
    whole = sum(weight for _, weight in unwanted)
    return cache.blend([*((text, rest * weight / whole) for text, weight in unwanted), *parts])


def _styled(request: GenerationRequest, lexicon: ModelPhrases, cache: PromptCache) -> Embedding:
    embedding = _blend(request, lexicon, cache)
    for words, strength in (
        (lexicon.style, request.stylize),
        (request.style_words, request.style_weight),
    ):
        if words and strength:
            weight = (strength / FULL) ** 0.7 * REACH
            embedding = cache.towards(embedding, _blend(request, lexicon, cache, words), weight)
    return embedding


def _apart(
    request: GenerationRequest, lexicon: ModelPhrases, cache: PromptCache, embedding: Embedding, seed: int
) -> Embedding:
    """The grid's embedding as one of its pictures has it."""
    if not request.chaos and not request.weird:
        return embedding
    chances = random.Random(seed)
    chaos, weird = chances.choice(lexicon.chaos), chances.choice(lexicon.weird)
    if request.chaos:
        weight = request.chaos / 100 * CHAOS_REACH
        embedding = cache.towards(embedding, _blend(request, lexicon, cache, chaos), weight)
    if request.weird:
        share = (request.weird / WEIRD_FULL) ** 0.7
        embedding = cache.towards(embedding, _blend(request, lexicon, cache, weird), share * WEIRD_REACH)
        embedding = turned(embedding, share * WEIRD_ANGLE, seed)
    return embedding


def turned(embedding: Embedding, angle: float, seed: int) -> Embedding:
    """Each token turned by `angle` (radians) in a direction drawn from `seed`; its length stays.

    The first token stays as it is: attention rests on it where it has nothing to look at.
    """
    # Not the stream of numbers that the picture's noise is drawn from.
    rng = torch.Generator().manual_seed(seed + SEED_SPACE)
    tokens = embedding.tokens.float()
    direction = torch.randn(tokens.shape, generator=rng).to(tokens.device)
    length = tokens.norm(dim=-1, keepdim=True)
    along = tokens / length
    across = direction - (direction * along).sum(-1, keepdim=True) * along
    across = across / across.norm(dim=-1, keepdim=True)
    moved = length * (math.cos(angle) * along + math.sin(angle) * across)
    moved[:, :1] = tokens[:, :1]
    return embedding._replace(tokens=moved.to(embedding.tokens.dtype))


def _blend(
    request: GenerationRequest, lexicon: ModelPhrases, cache: PromptCache, words: str = ""
) -> Embedding:
    """The positive parts by their weights, each with its LoRAs' words and then `words` behind it."""
    parts: list[tuple[Text, float]] = [
        (part.phrases, part.weight) for part in request.parts if part.weight > 0
    ]
    parts = parts or [(request.prompt, 1.0)]
    for behind in filter(None, (lexicon.triggers_of(request), words)):
        parts = [(_with(text, behind), weight) for text, weight in parts]
    return cache.blend(parts)


def _with(text: Text, words: str) -> Text:
    behind = f", {words}"
    return text + behind if isinstance(text, str) else (*text, Phrase(text=behind))
