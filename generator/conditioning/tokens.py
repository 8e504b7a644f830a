"""Prompts as tokens: of any length, and of phrases that are meant more or less strongly than the rest.

Both in the way of AUTOMATIC1111's web interface (`modules/sd_hijack_clip.py`, `modules/sd_emphasis.py`): a
long prompt is encoded in pieces of the encoder's own length, which stand one behind the other for the UNet; a
phrase's emphasis multiplies the embeddings of its tokens, and the whole gets back the mean that it had.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from storage.contract import Phrase

Text = str | tuple[Phrase, ...]
"""A prompt, plain or in phrases."""


class Tokens(NamedTuple):
    """Each is (chunks, tokens): ids, 1 where there is a token and 0 where it is filled up, and emphasis."""

    ids: Tensor
    mask: Tensor
    emphasis: Tensor


def tokenize(tokenizer: Any, text: Text) -> Tokens:
    """The text's tokens in chunks of the tokenizer's length, start and end included; at least one chunk."""
    ids: list[int] = []
    emphasis: list[float] = []
    for phrase in _phrases(text):
        # Neither padding nor truncation: they would be kept by the tokenizer, which threads may share.
        found = tokenizer(phrase.text, add_special_tokens=False, verbose=False).input_ids
        ids += found
        emphasis += [phrase.emphasis] * len(found)
    length: int = tokenizer.model_max_length
    begins = range(0, max(1, len(ids)), length - 2)
    rows = [_chunk(tokenizer, ids[begin : begin + length - 2]) for begin in begins]
    weights = [_framed(emphasis[begin : begin + length - 2], length) for begin in begins]
    masks = [[1] * (len(ids[begin : begin + length - 2]) + 2) for begin in begins]
    padded = [[*mask, *[0] * (length - len(mask))] for mask in masks]
    return Tokens(torch.tensor(rows), torch.tensor(padded), torch.tensor(weights))


def _phrases(text: Text) -> list[Phrase]:
    """Phrases of one emphasis that follow each other are one: a word may be cut where they meet."""
    if isinstance(text, str):
        return [Phrase(text=text)]
    runs = itertools.groupby(text, key=lambda phrase: phrase.emphasis)
    return [Phrase(text="".join(each.text for each in run), emphasis=emphasis) for emphasis, run in runs]


def _chunk(tokenizer: Any, ids: list[int]) -> list[int]:
    whole = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    return [*whole, *[tokenizer.pad_token_id] * (tokenizer.model_max_length - len(whole))]


def _framed(emphasis: list[float], length: int) -> list[float]:
    return [1.0, *emphasis, *[1.0] * (length - 1 - len(emphasis))]


Encoder = Callable[[Tensor, Tensor], tuple[Tensor, ...]]
"""Ids and mask, (chunks, tokens) each, to whatever is wanted of them; its first dimension is chunks too."""


def encoded(encoder: Encoder, texts: Sequence[Tokens], at_once: int) -> list[tuple[Tensor, ...]]:
    """What the encoder makes of each text, in calls of exactly so many chunks.

    A call that is not full is filled up with its last chunk: all calls being of one size, a text comes out
    the same to the last bit whoever else is in its call.
    """
    ids, masks = (torch.cat(sides) for sides in zip(*((text.ids, text.mask) for text in texts), strict=True))
    calls = []
    for begin in range(0, len(ids), at_once):
        rows = torch.arange(begin, begin + at_once).clamp(max=len(ids) - 1)
        calls.append(encoder(ids[rows], masks[rows]))
    whole = (torch.cat(outputs)[: len(ids)] for outputs in zip(*calls, strict=True))
    parted = (torch.split(each, [len(text.ids) for text in texts]) for each in whole)
    return list(zip(*parted, strict=True))


def emphasize(states: Tensor, emphasis: Tensor) -> Tensor:
    """One encoder's (chunks, tokens, width), each token times its emphasis (chunks, tokens).

    What is restored is the mean *size*: the mean itself, which the web interface takes, is near nought in
    encoders whose last layer normalises, and dividing by it would blow up the rest.
    """
    if bool((emphasis == 1).all()):
        return states
    weighted = states * emphasis.to(states.device, states.dtype)[..., None]
    return weighted * (states.abs().mean() / weighted.abs().mean())
