"""Prompts as embeddings: cached, lengthened to each other, and blended."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from generator.conditioning.tokens import Text
from generator.device_errors import outcome


class Embedding(NamedTuple):
    """One prompt's: `tokens` is (1, tokens, width); `pooled` (1, width) for models that want it too."""

    tokens: Tensor
    pooled: Tensor | None = None

    @property
    def length(self) -> int:
        return self.tokens.shape[1]


class PromptCache:
    """The last `size` embeddings. Not thread safe: only the device's thread encodes.

    `encode` takes several texts, and about `at_once` of them in the time of one. What it makes of a text may
    not depend on the others.
    """

    def __init__(
        self, encode: Callable[[Sequence[Text]], Sequence[Embedding]], at_once: int = 1, size: int = 256
    ) -> None:
        self._encode = encode
        self._at_once = at_once
        self._size = size
        self._embeddings: OrderedDict[Text, Embedding] = OrderedDict()

    def __getitem__(self, text: Text) -> Embedding:
        self.prepare([text])
        self._embeddings.move_to_end(text)
        return self._embeddings[text]

    def prepare(self, texts: Iterable[Text], later: Iterable[Text] = ()) -> None:
        """Encode what is new of `texts`, and of those needed `later` as many as cost no time of their own."""
        new = self._new(texts)
        if not new:
            return
        spare = -len(new) % self._at_once
        more = [text for text in self._new(later) if text not in new][:spare]
        found = outcome(lambda: self._encode([*new, *more]))
        if isinstance(found, Exception):
            if not more:
                raise found
            del found  # and with it what the failed call held of the device's memory
            more = []  # a fault of theirs is theirs alone
            found = self._encode(new)
        self._embeddings |= zip([*new, *more], found, strict=True)
        while len(self._embeddings) > max(self._size, len(found)):
            self._embeddings.popitem(last=False)

    def _new(self, texts: Iterable[Text]) -> list[Text]:
        return [text for text in dict.fromkeys(texts) if text not in self._embeddings]

    def lengthened(self, embedding: Embedding, length: int) -> Embedding:
        """With the empty prompt behind it until there are `length` tokens."""
        missing = length - embedding.length
        if missing == 0:
            return embedding
        empty = self[""].tokens
        filler = empty.repeat(1, math.ceil(missing / empty.shape[1]), 1)[:, :missing]
        return embedding._replace(tokens=torch.cat([embedding.tokens, filler], dim=1))

    def towards(self, embedding: Embedding, other: Embedding, weight: float) -> Embedding:
        """The embedding moved to `other`: not at all for a weight of 0, wholly for 1."""
        length = max(embedding.length, other.length)
        embedding, other = self.lengthened(embedding, length), self.lengthened(other, length)
        pooled = None
        if embedding.pooled is not None and other.pooled is not None:
            pooled = torch.lerp(embedding.pooled, other.pooled, weight)
        return Embedding(torch.lerp(embedding.tokens, other.tokens, weight), pooled)

    def blend(self, parts: Sequence[tuple[Text, float]]) -> Embedding:
        """The mean of the texts' embeddings by their weights, of which none is negative and one is not 0."""
        whole = sum(weight for _, weight in parts)
        embeddings = [self[text] for text, _ in parts]
        length = max(embedding.length for embedding in embeddings)
        embeddings = [self.lengthened(embedding, length) for embedding in embeddings]
        # One part alone weighs exactly 1, and is itself to the last bit.
        shares = [weight / whole for _, weight in parts]
        tokens = [embedding.tokens * share for embedding, share in zip(embeddings, shares, strict=True)]
        pooled = [
            embedding.pooled * share
            for embedding, share in zip(embeddings, shares, strict=True)
            if embedding.pooled is not None
        ]
        return Embedding(sum(tokens[1:], tokens[0]), sum(pooled[1:], pooled[0]) if pooled else None)
