"""Weight files of published sizes that take no room: a header, and a hole where the numbers would be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from generator.inspection.headers import BITS

Shapes = Mapping[str, tuple[int, ...]]


def write(
    file: Path, shapes: Shapes, *, dtype: str = "F16", metadata: Mapping[str, str] | None = None
) -> Path:
    """A `.safetensors` file of these tensors."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        opened.truncate(8 + len(text) + end)
    return file


def shapes_of(kind: Any, *, begin: str = "", **config: Any) -> dict[str, tuple[int, ...]]:
    """Tensors of a network of diffusers' class, which is not made."""
    with torch.device("meta"):
        network = kind(**config)
    return {f"{begin}{name}": tuple(tensor.shape) for name, tensor in network.state_dict().items()}
