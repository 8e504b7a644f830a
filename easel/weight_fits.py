"""Weights compared with what their configurations describe; nothing is loaded, but torch is needed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from generator.inspection import weights
from generator.inspection.weights import read_json
from storage import foreign_files
from storage.catalog_model import ModelEntry
from storage.foreign_files import DamagedFile

KINDS = ("UNet2DConditionModel", "AutoencoderKL", "ControlNetModel")
"""diffusers' networks, whose weights are named in their files as in the network."""


def can_compare() -> bool:
    return all(find_spec(name) is not None for name in ("torch", "diffusers"))


def misfits(entry: ModelEntry) -> Iterator[str]:
    """Compare weights with their networks: tensors that are missing or of another shape, in files that are
    whole.
    """
    model = Path(entry.source)
    places = [model / part for part in ("unet", "vae")] if model.is_dir() else []
    places += [Path(control.source) for control in entry.controls.values()]
    for place in dict.fromkeys(places):
        if place.is_dir():
            yield from _misfits(place)


def _misfits(folder: Path) -> Iterator[str]:
    config = read_json(folder / "config.json") or {}
    there = _shapes(folder)
    if config.get("_class_name") not in KINDS or not there:
        return
    try:
        with foreign_files.reading():
            wanted = _wanted(config, there)
    except DamagedFile as reason:
        yield f"{folder}/config.json describes no network: {reason}"
        return
    missing = sorted(wanted.keys() - there.keys())
    if missing:
        named = missing[0] if len(missing) == 1 else f"{missing[0]} and {len(missing) - 1} more"
        yield f"{folder} lacks weights that its config.json describes: {named}"
    others = sorted(name for name in wanted.keys() & there.keys() if wanted[name] != there[name])
    if others:
        name = others[0]
        yield (
            f"{folder}/config.json does not fit the weights: {name} is {list(there[name])}, and by it"
            f" {list(wanted[name])}"
        )


def _shapes(folder: Path) -> dict[str, Any]:
    """The tensors of what would be loaded."""
    found = weights.of_folder(folder)
    return {} if found is None else {name: tensor.shape for name, tensor in found.tensors.items()}


def _wanted(config: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """The tensors of the network, as files name them; older names in `there` become these."""
    import diffusers
    import torch

    with torch.device("meta"):
        network = getattr(diffusers, config["_class_name"]).from_config(config)
    network._fix_state_dict_keys_on_load(there)  # noqa: SLF001  as its loader does
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
