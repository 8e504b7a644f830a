"""Numbers of weights in files, by their headers: none is read, and torch is not needed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SUFFIX = ".safetensors"
LONGEST_HEADER = 100 * 2**20
"""Bytes; the format's own limit."""
NAMES = ("diffusion_pytorch_model", "model")
"""Weights of diffusers' networks and of transformers'."""


def of_folder(folder: Path) -> int:
    """Numbers in the weights of a network's folder; of several precisions that are there, of one."""
    return sum(sum(_shapes(file).values()) for file in _files(folder))


def of_file(file: Path) -> int:
    return sum(_shapes(file).values())


def of_parts(file: Path, parts: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Numbers in one file of several networks, each known by what its tensors' names begin with."""
    shapes = _shapes(file)
    return {
        part: sum(size for name, size in shapes.items() if name.startswith(beginnings))
        for part, beginnings in parts.items()
    }


def _files(folder: Path) -> Iterable[Path]:
    for name in NAMES:
        for variant in ("", ".fp16", ".bf16"):
            whole = folder / f"{name}{variant}{SUFFIX}"
            if whole.is_file():
                return [whole]
            index = folder / f"{name}{SUFFIX}.index{variant}.json"
            if index.is_file():
                return _parts(index)
    return sorted(folder.glob(f"*{SUFFIX}"))[:1]


def _parts(index: Path) -> list[Path]:
    named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    return [index.parent / name for name in sorted(set(named))]


def _shapes(file: Path) -> dict[str, int]:
    """Numbers in each tensor, by its name.

    Raises:
        ValueError: the file is damaged.
    """
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"{file} has no header")
        header: dict[str, Any] = json.loads(opened.read(length))
    return {name: math.prod(each["shape"]) for name, each in header.items() if name != "__metadata__"}
