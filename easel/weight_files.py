"""Weight files on disk, judged by their headers: no weights are read, and nothing but Python is needed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage.catalog_values import PICKLED

INDEX = ".index.json"
LONGEST_HEADER = 100 * 2**20
"""Bytes; the format's own limit."""
SIZES = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
    "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
"""Bits of a number, by its kind's name in the format."""
METADATA = "__metadata__"
"""In a header: what is no tensor."""
LOADED = ("diffusion_pytorch_model.safetensors", "model.safetensors")
"""The names by which networks' weights are loaded, or the same with `.index.json` where they are in parts."""


def faults_of_network(folder: Path) -> Iterator[str]:
    """Find faults of a network's folder: its configuration, and its weights."""
    yield from faults_of_network_config(folder)
    if not folder.is_dir():
        return
    found = list(faults_of_weights(folder))
    yield from found
    if not found and not any((folder / f"{name}{end}").is_file() for name in LOADED for end in ("", INDEX)):
        yield f"{folder} has no weights of the name {' or '.join(LOADED)}: rename those that it is to have"


def faults_of_network_config(folder: Path) -> Iterator[str]:
    """Find faults of the configuration of a network."""
    if not folder.is_dir():
        yield f"{folder} does not exist"
        return
    config = read_json(folder / "config.json")
    if config is None:
        yield f"{folder} has no config.json, or one that is not JSON"
    elif not any(isinstance(config.get(name), str) for name in ("_class_name", "model_type")):
        yield f"{folder}/config.json does not say of what kind the network is"


def faults_of_weights(folder: Path) -> Iterator[str]:
    """Find faults of a folder's weights, be they in one file or in several."""
    files = sorted(folder.glob("*.safetensors"))
    for file in files:
        yield from faults_of_file(file)
    for index in sorted(folder.glob("*.safetensors.index.json")):
        shards = (read_json(index) or {}).get("weight_map")
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
    """Find faults of one `.safetensors` file: eight bytes (the header's length), JSON, numbers."""
    try:
        reason = _reason(file)
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
    if reason:
        yield f"{file} is not a whole .safetensors file: {reason}"


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The tensors of a file that is whole, by their names."""
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    return {name: tuple(tensor["shape"]) for name, tensor in header.items() if name != METADATA}


def _reason(file: Path) -> str | None:
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            return f"it ends within its header, after {size} bytes"
        try:
            header: Any = json.loads(opened.read(length))
            ends = [_end(tensor) for name, tensor in header.items() if name != METADATA]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "its header is damaged"
    wanted = 8 + length + max(ends, default=0)
    if size != wanted:
        return f"it has {size:,} bytes, and its header tells of {wanted:,}; download it again"
    return None


def _end(tensor: dict[str, Any]) -> int:
    """Offset behind the header at which a tensor's numbers end.

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


def read_json(file: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file is not there, or holds anything else."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
