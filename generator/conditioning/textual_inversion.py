"""Textual Inversion: vectors that stand for a name in a text, beside a text encoder's own tokens.

A name is found as A1111's web interface finds it: a whole word, in capitals or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from storage.vocabulary import naming


class Piece(NamedTuple):
    """Characters of a text from `begin` to `end`; `ids` where these name an embedding."""

    begin: int
    end: int
    ids: range | None = None


class NamedVectors:
    """Ids of each name's vectors in one text encoder: they go down from -1, where it has none of its own."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        """`counts` are vectors by name, in the order in which the encoder has them."""
        self._ids: dict[str, range] = {}
        first = -1
        for name, count in (counts or {}).items():
            self._ids[name.casefold()] = range(first, first - count, -1)
            first -= count
        self._named = naming(self._ids)

    def parted(self, text: str) -> Iterator[Piece]:
        """All of the text, piece by piece."""
        end = 0
        for match in self._named.finditer(text) if self._named else ():
            yield Piece(end, match.start())
            yield Piece(match.start(), match.end(), self._ids[match["name"].casefold()])
            end = match.end()
        yield Piece(end, len(text))


NONE = NamedVectors()


class TokenEmbedding(torch.nn.Embedding):
    """A text encoder's own, of the same weights, with vectors for ids below 0: -1 is the first."""

    vectors: Tensor

    def __init__(self, own: torch.nn.Embedding, vectors: Tensor) -> None:
        super().__init__(own.num_embeddings, own.embedding_dim, device="meta")
        self.weight = own.weight
        self.register_buffer("vectors", vectors.to(own.weight.device, own.weight.dtype), persistent=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's name
        """Ids of any shape to (…, width)."""
        own = super().forward(input.clamp(min=0))
        added = functional.embedding((-1 - input).clamp(min=0), self.vectors)
        return torch.where((input < 0)[..., None], added, own)


def teach(encoder: Any, vectors: Mapping[str, Tensor]) -> NamedVectors:
    """Give a text encoder these names' vectors, (n, width) each."""
    own = encoder.get_input_embeddings()
    encoder.set_input_embeddings(TokenEmbedding(own, torch.cat([each.float() for each in vectors.values()])))
    return NamedVectors({name: len(each) for name, each in vectors.items()})
