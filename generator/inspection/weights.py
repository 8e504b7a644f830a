"""Weights on disk, in one file or in several: their headers, and what is the matter with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generator.inspection import gguf_files, pickles, safetensors_files
from generator.inspection.headers import Header, together
from storage.catalog_values import PICKLED
from storage.foreign_files import DamagedFile

INDEX = ".index.json"
VARIANTS = ("", ".fp16")
"""Endings of the names by which networks' weights are loaded; the first that is there."""
LOADED = tuple(
    f"{name}{variant}.safetensors" for variant in VARIANTS for name in ("diffusion_pytorch_model", "model")
)
"""The names by which networks' weights are loaded, or the same with `.index.json` where they are in parts."""


def of_file(file: Path) -> Header:
    """Header of a file in any of the formats that people have.

    Raises:
        DamagedFile: it is not a whole file of its format; the text goes on behind its name.
    """
    try:
        with file.open("rb") as opened:
            begin = opened.read(4)
        if begin == gguf_files.MAGIC or file.suffix == ".gguf":
            return gguf_files.read(file)
        if file.suffix in PICKLED or (begin.startswith((b"PK", b"\x80")) and file.suffix != ".safetensors"):
            return pickles.read(file)
        return safetensors_files.read(file)
    except OSError as error:
        raise DamagedFile(f"cannot be read: {error.strerror}") from None


def of_folder(folder: Path) -> Header | None:
    """Header of what would be loaded of a network's folder; None where it has no weights.

    Raises:
        DamagedFile: one of its files is damaged; the text names it.
    """
    files = next((found for name in LOADED if (found := parts(folder, name))), None)
    return None if files is None else together([named(file) for file in files])


def named(file: Path) -> Header:
    """Header of a file.

    Raises:
        DamagedFile: as a sentence that begins with its name.
    """
    try:
        return of_file(file)
    except DamagedFile as error:
        raise DamagedFile(f"{file} {error}") from None


def parts(folder: Path, name: str) -> list[Path]:
    """Files that are there of those in which the weights of this name are."""
    if (folder / name).is_file():
        return [folder / name]
    index = read_json(folder / f"{name}{INDEX}") or {}
    shards = index.get("weight_map")
    names = set(map(str, shards.values())) if isinstance(shards, dict) else set()
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def faults_of_network(folder: Path) -> Iterator[str]:
    """Find faults of a network's folder: its configuration, and its weights."""
    yield from faults_of_network_config(folder)
    if not folder.is_dir():
        return
    found = list(faults_of_weights(folder))
    yield from found
    if not found and not any(parts(folder, name) for name in LOADED):
        named_so = " or ".join(LOADED[:2])
        yield f"{folder} has no weights of the name {named_so}: rename those that it is to have"


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
    for index in sorted(folder.glob(f"*.safetensors{INDEX}")):
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
    """Find faults of one file by its header."""
    try:
        named(file)
    except DamagedFile as error:
        yield str(error)


def read_json(file: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file is not there, or holds anything else."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
