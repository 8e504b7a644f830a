"""Texts of any length in one call: filled up to the longest, with the length of each beside them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

WORDS = "words"
LENGTHS = "lengths of words"


def stacked(texts: Sequence[Tensor]) -> dict[str, Tensor]:
    """(1, tokens, width) each, as rows: (n, longest, width), and (n,) tokens on the CPU."""
    longest = max(text.shape[1] for text in texts)
    words = [pad(text, (0, 0, 0, longest - text.shape[1])) for text in texts]
    return {WORDS: torch.cat(words), LENGTHS: torch.tensor([text.shape[1] for text in texts])}


def rows(conditions: dict[str, Tensor]) -> list[Tensor]:
    """(tokens, width) of each row, without what fills it up."""
    lengths = conditions[LENGTHS].tolist()
    return [row[:length] for row, length in zip(conditions[WORDS], lengths, strict=True)]


def joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The rows of several in one."""
    return stacked([row[None] for part in parts for row in rows(part)])
