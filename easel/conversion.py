"""Pickled weights as `.safetensors`: read once, without running what else a pickle may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from storage.catalog_values import PICKLED
from storage.errors import CatalogError

NAMES = {"pytorch_model": "model"}
"""Files that transformers calls otherwise in the other format."""
_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}$")


def convert(place: Path) -> Iterator[Path]:
    """Write a `.safetensors` file beside each pickle that has none; shards become one file. Yields them.

    Raises:
        CatalogError: there is nothing to convert, or a file holds other things than weights.
    """
    found: dict[Path, list[Path]] = {}
    for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if file.suffix in PICKLED and file.is_file():
            found.setdefault(_target(file), []).append(file)
    if not found:
        raise CatalogError(f"{place} is no pickled file, nor a folder that has any ({', '.join(PICKLED)}).")
    for target, files in found.items():
        if not target.exists():
            read = [_read(file) for file in files]
            weights = {name: weight for each in read for name, weight in each.tensors.items()}
            save_file(weights, target, metadata={"format": "pt", **read[0].named})
            yield target


def _target(file: Path) -> Path:
    name = _SHARD.sub("", file.stem)
    return file.with_name(f"{NAMES.get(name, name)}.safetensors")


class _Weights(NamedTuple):
    tensors: dict[str, Tensor]
    named: Mapping[str, str] = MappingProxyType({})
    """The name that a Textual Inversion gives itself."""


def _read(file: Path) -> _Weights:
    try:
        with torch.serialization.safe_globals([torch.nn.ParameterDict]):
            read = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise CatalogError(
            f"{file} cannot be converted: it is damaged, or holds more than weights. Take another."
        ) from error
    if isinstance(read, dict) and "string_to_param" in read:
        weights = _Weights(_embedding(read["string_to_param"]), {"name": str(read.get("name", ""))})
    else:
        weights = _Weights(dict(_flat(read.get("state_dict", read) if isinstance(read, dict) else {})))
    if not weights.tensors:
        raise CatalogError(f"{file} cannot be converted: it holds no weights.")
    return weights


def _embedding(vectors: Mapping[str, Any]) -> dict[str, Tensor]:
    """A1111's Textual Inversion, by the name that its `.safetensors` files give it."""
    found = [vector.detach().clone().contiguous() for vector in vectors.values()]
    return {"emb_params": torch.cat(found)} if found else {}


def _flat(tables: Mapping[Any, Any], begin: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors by their names; those of a table within, as IP-Adapters have, by both names."""
    for name, value in tables.items():
        if isinstance(value, Tensor):
            yield f"{begin}{name}", value.detach().clone().contiguous()
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{begin}{name}.")
