"""The tokenizer: byte-pair encoding, learned so that every word of the captions is one token."""

from collections import Counter
from itertools import pairwise

from transformers import CLIPTokenizer

from picturebook.words import all_words

LENGTH = 77
"""Tokens of a prompt, start and end included, as in CLIP (Radford et al. 2021)."""

Pair = tuple[str, str]


def _byte_letters() -> list[str]:
    """The printable letter of each byte, in the order of CLIP's vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + index) for index in range(len(rest))]


def _merged(parts: list[str], pair: Pair) -> list[str]:
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def learn_merges(vocabulary: list[str]) -> list[Pair]:
    """Merges that make one token of every word, the commonest pair first (Sennrich et al. 2016)."""
    split = [[*word[:-1], word[-1] + "</w>"] for word in vocabulary]
    merges: list[Pair] = []
    while True:
        counts = Counter(pair for parts in split for pair in pairwise(parts))
        if not counts:
            return merges
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        split = [_merged(parts, best) for parts in split]


def new_tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer whose vocabulary is that of the captions, with all bytes to fall back on."""
    letters = _byte_letters()
    merges = learn_merges([word for word in all_words() if word.isalpha()])
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(a + b for a, b in merges)]
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)
