"""CLIP's tokenizer, made of the merges that ship with Easel: all Stable Diffusion models read by it."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

_MERGES = Path(__file__).parent / "layouts" / "clip" / "merges.txt.gz"
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer that the `tokenizer_config.json` in a folder without a vocabulary describes."""
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    told = {key: config[key] for key in ("pad_token", "model_max_length")}
    return CLIPTokenizer(vocab=_vocabulary(), merges=list(_merges()), **told)


@cache
def _merges() -> tuple[tuple[str, str], ...]:
    """Pairs of pieces that become one, the most frequent first."""
    lines = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").split("\n")
    pairs = (line.split() for line in lines)
    return tuple((first, second) for first, second in pairs)


def _vocabulary() -> dict[str, int]:
    """Ids: of each byte, of each byte at a word's end, of each merge, of the two marks."""
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, _merges()), *_SPECIAL]
    return {word: index for index, word in enumerate(words)}
