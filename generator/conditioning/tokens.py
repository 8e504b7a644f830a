"""Prompts as tokens: of any length, and of phrases that are meant more or less strongly than the rest.

Both in the way of AUTOMATIC1111's web interface (`modules/sd_hijack_clip.py`, `modules/sd_emphasis.py`): a
long prompt is encoded in chunks of the encoder's own length, which stand one behind the other for the UNet,
and a chunk ends behind a comma or a word where there is one near its end; a phrase's emphasis multiplies the
embeddings of its tokens, and its chunk gets back the mean size that it had.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generator.conditioning.textual_inversion import NONE, NamedVectors
from storage.contract import Phrase

Text = str | tuple[Phrase, ...]
"""A prompt, plain or in phrases."""


class Tokens(NamedTuple):
    """Each is (chunks, tokens): ids, 1 where there is a token and 0 where it is filled up, and emphasis."""

    ids: Tensor
    mask: Tensor
    emphasis: Tensor


BACKTRACK = 20
"""Tokens at a chunk's end among which a better place to end it is looked for, as in the web interface."""
COMMAS = (",", "，", "、")


class _Token(NamedTuple):
    id: int
    emphasis: float
    begin: int
    """Indexes in the whole text at which its characters begin and end."""
    end: int


def tokenize(tokenizer: Any, text: Text, named: NamedVectors = NONE) -> Tokens:
    """The text's tokens in chunks of the tokenizer's length, start and end included; at least one chunk.

    Names of vectors have their ids, all of which stand in one chunk.
    """
    tokens: list[_Token] = []
    whole = ""
    for phrase in phrases_of(text):
        for begin, end, ids in named.parted(phrase.text):
            if ids is None:
                found = _tokens_of(tokenizer, phrase.text[begin:end])
            else:
                found = [(each, 0, end - begin) for each in ids]
            tokens += [
                _Token(each, phrase.emphasis, len(whole) + begin + first, len(whole) + begin + last)
                for each, first, last in found
            ]
        whole += phrase.text
    length: int = tokenizer.model_max_length
    chunks = list(_chunks(tokens, whole, length - 2))
    rows = [_chunk(tokenizer, [token.id for token in chunk]) for chunk in chunks]
    weights = [_framed([token.emphasis for token in chunk], length) for chunk in chunks]
    masks = [[1] * (len(chunk) + 2) + [0] * (length - len(chunk) - 2) for chunk in chunks]
    return Tokens(torch.tensor(rows), torch.tensor(masks), torch.tensor(weights))


def _tokens_of(tokenizer: Any, text: str) -> list[tuple[int, int, int]]:
    """Each token's id, its first character's index, and that of the one behind its last."""
    # Neither padding nor truncation: they would be kept by the tokenizer, which threads may share.
    # What looks like the tokenizer's own marks is text like any other.
    found = tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )
    return [(each, *place) for each, place in zip(found.input_ids, found.offset_mapping, strict=True)]


def _chunks(tokens: list[_Token], text: str, most: int) -> Iterator[list[_Token]]:
    """At most so many tokens each, ended behind a comma, else behind a word, else where it has to be."""
    while len(tokens) > most:
        near = range(most, max(most - BACKTRACK, 0), -1)
        ends = [place for place in near if tokens[place].begin >= tokens[place - 1].end]
        commas = [place for place in ends if text[: tokens[place].begin].rstrip().endswith(COMMAS)]
        words = [place for place in ends if text[tokens[place].begin - 1].isspace()]
        end = next(iter(commas or words), _uncut(tokens, most))
        yield tokens[:end]
        tokens = tokens[end:]
    yield tokens


def _uncut(tokens: list[_Token], place: int) -> int:
    """The place itself, or where the vectors begin among which it is."""
    while tokens[place].id < 0 and tokens[place].begin == tokens[place - 1].begin:
        place -= 1
    return place


def phrases_of(text: Text) -> list[Phrase]:
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
    """Encode texts in calls of exactly so many chunks.

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

    Each chunk gets back its mean *size*: the mean itself, which the web interface takes, is near nought in
    encoders whose last layer normalises, and dividing by it would blow up the rest.
    """
    if bool((emphasis == 1).all()):
        return states
    weighted = states * emphasis.to(states.device, states.dtype)[..., None]
    before, after = (each.abs().mean(dim=(1, 2), keepdim=True) for each in (states, weighted))
    return weighted * (before / after)


def emphasize_apart(states: Tensor, emphasis: Tensor) -> Tensor:
    """One encoder's (1, tokens, width) for networks that normalise each token, so that its size says nothing.

    How far each token is from the mean of all is multiplied by its emphasis, (1, tokens).
    """
    if bool((emphasis == 1).all()):
        return states
    mean = states.mean(dim=1, keepdim=True)
    return mean + (states - mean) * emphasis.to(states.device, states.dtype)[..., None]
