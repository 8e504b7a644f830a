"""Textual Inversion files: A1111's, diffusers', and those of XL's two text encoders."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from generator import pretrained
from storage.catalog_companions import EmbeddingEntry
from storage.errors import CatalogError

LEARNED = "learned_embeds.safetensors"
"""The file of a folder or Hugging Face id that diffusers takes for one."""

MOST_VECTORS = 75
"""Tokens that a text encoder reads at once, without their begin and end."""

_PAIRS = (("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1"))
"""Names of XL's tensors, its first text encoder's first."""

_MADE_FOR = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 1280: "Stable Diffusion XL"}


def vectors(entry: EmbeddingEntry, widths: Sequence[int]) -> list[Tensor]:
    """Vectors (n, width) for each text encoder, of which `widths` are given.

    Raises:
        CatalogError: the file cannot be read, or is made for other text encoders; the text names it.
    """
    try:
        tensors, _ = pretrained.tensors(pretrained.file_of(entry.source, entry.file, LEARNED))
    except pretrained.UNREADABLE as error:
        raise _unusable(entry, pretrained.reason(entry.source, error)) from error
    pair = next((pair for pair in _PAIRS if tensors.keys() == set(pair)), None)
    if pair is None and len(tensors) != 1:
        raise _unusable(entry, f"it holds {len(tensors)} tensors, and is no embedding.")
    found = [tensors[name] for name in pair or tensors]
    if len(found) != len(widths):
        kinds = {1: "one text encoder", 2: "the two text encoders of Stable Diffusion XL"}
        raise _unusable(entry, f"it is made for {kinds[len(found)]}, and this model has {len(widths)}.")
    sides = [each[None] if each.dim() == 1 else each for each in found]
    faults = [fault for side, width in zip(sides, widths, strict=True) if (fault := _fault(side, width))]
    if not faults and len({len(side) for side in sides}) > 1:
        faults = [f"it has {len(sides[0])} vectors for one text encoder and {len(sides[1])} for the other."]
    if faults:
        raise _unusable(entry, faults[0])
    return sides


def _fault(side: Tensor, width: int) -> str | None:
    """Reason why these are no vectors for a text encoder of that width."""
    if side.dim() != 2 or not side.is_floating_point():
        return f"its tensor of {'×'.join(map(str, side.shape))} numbers is no list of vectors."
    if side.shape[1] != width:
        made_for = _MADE_FOR.get(side.shape[1])
        hint = f" (it was made for {made_for})" if made_for else ""
        return f"its vectors have {side.shape[1]} numbers, and this model's text encoder reads {width}{hint}."
    if not 0 < len(side) <= MOST_VECTORS:
        return f"it has {len(side)} vectors, and a text encoder reads 1 to {MOST_VECTORS} at once."
    return None


def _unusable(entry: EmbeddingEntry, reason: str) -> CatalogError:
    where = f"{entry.source}/{entry.file}" if entry.file else entry.source
    return CatalogError(f"The embedding at {where} cannot be used: {reason}")
