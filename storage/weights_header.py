"""Headers of `.safetensors` files: names and shapes of their tensors, and what their makers wrote beside.

Nothing but Python is needed, and no weights are read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

LONGEST = 100 * 2**20
"""Bytes; the format's own limit."""
METADATA = "__metadata__"
"""In a header: what is no tensor."""


class WeightsHeader(NamedTuple):
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read(file: Path) -> WeightsHeader:
    """Raises:
    OSError: the file cannot be read.
    ValueError: it does not begin as a `.safetensors` file does.
    """
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(LONGEST, file.stat().st_size - 8):
            raise ValueError("it ends within its header")
        raw = opened.read(length)
    try:
        tensors = json.loads(raw)
        metadata = tensors.pop(METADATA, None) or {}
        shapes = {name: tuple(tensor["shape"]) for name, tensor in tensors.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("its header is damaged") from None
    return WeightsHeader(shapes, {str(key): str(value) for key, value in metadata.items()})
