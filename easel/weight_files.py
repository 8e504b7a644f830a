"""Weight files on disk, judged by their headers: no weights are read, and nothing but Python is needed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage.catalog import PICKLED

LONGEST_HEADER = 100 * 2**20
"""Bytes; the format's own limit."""
SIZES = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
    "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
"""Bits of a number, by its kind's name in the format."""
NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2", "safety_checker")
"""A model's folders that hold weights."""


def faults_of_model(folder: Path) -> Iterator[str]:
    """What is wrong with a model's folder in diffusers' layout."""
    named = _json(folder / "model_index.json")
    if named is None:
        yield f"{folder} is not a diffusers folder: it has no model_index.json, or one that is not JSON"
        return
    for part in NETWORKS:
        kind = named.get(part)
        if isinstance(kind, list) and all(kind):
            yield from faults_of_network(folder / part)


def faults_of_network(folder: Path) -> Iterator[str]:
    """What is wrong with a network's folder: its configuration, and its weights."""
    if not folder.is_dir():
        yield f"{folder} does not exist"
        return
    if _json(folder / "config.json") is None:
        yield f"{folder} has no config.json, or one that is not JSON"
    yield from faults_of_weights(folder)


def faults_of_weights(folder: Path) -> Iterator[str]:
    """What is wrong with a folder's weights, be they in one file or in several."""
    files = sorted(folder.glob("*.safetensors"))
    for file in files:
        yield from faults_of_file(file)
    for index in sorted(folder.glob("*.safetensors.index.json")):
        shards = (_json(index) or {}).get("weight_map")
        if not isinstance(shards, dict):
            yield f"{index} names no files"
            continue
        missing = sorted({str(name) for name in shards.values()} - {file.name for file in files})
        yield from (f"{folder / name} does not exist" for name in missing)
    if not files:
        pickled = [file for file in sorted(folder.iterdir()) if file.suffix in PICKLED]
        if pickled:
            yield f"{pickled[0]} is a pickle: make it safe with `easel models convert {folder}`"
        else:
            yield f"{folder} has no weights (.safetensors)"


def faults_of_file(file: Path) -> Iterator[str]:
    """What is wrong with one `.safetensors` file: eight bytes (the header's length), JSON, numbers."""
    try:
        reason = _reason(file)
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
    if reason:
        yield f"{file} is not a whole .safetensors file: {reason}"


def _reason(file: Path) -> str | None:
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            return f"it ends within its header, after {size} bytes"
        try:
            header: Any = json.loads(opened.read(length))
            ends = [_end(tensor) for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "its header is damaged"
    wanted = 8 + length + max(ends, default=0)
    if size != wanted:
        return f"it has {size:,} bytes, and its header tells of {wanted:,}; download it again"
    return None


def _end(tensor: dict[str, Any]) -> int:
    """Where a tensor's numbers end, behind the header.

    Raises:
        ValueError, TypeError, KeyError: they are not as many as its shape tells.
    """
    begin, end = tensor["data_offsets"]
    bits = SIZES.get(tensor["dtype"])
    if bits is not None and math.prod(tensor["shape"]) * bits != (end - begin) * 8:
        raise ValueError(tensor)
    if not isinstance(end, int) or not 0 <= begin <= end:
        raise ValueError(tensor)
    return end


def _json(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
