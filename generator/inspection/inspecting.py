"""From what a catalog calls a source to what is there."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from generator.inspection import checkpoints, configs, folders, single_networks, weights
from generator.inspection.headers import Header
from generator.inspection.inspected import Inspection
from storage import foreign_files
from storage.catalog_values import names_a_file
from storage.errors import CatalogError
from storage.foreign_files import DamagedFile

_LAYERS = "*.safetensors"


def place_of(source: str) -> Path | None:
    """File or folder of a source, in the cache for a Hugging Face id; None if it is not on this machine."""
    place = Path(source)
    if place.exists():
        return place
    if names_a_file(source) or find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def look(source: str, file: str | None = None) -> Inspection | None:
    """Inspect what is there; None for a Hugging Face id that is not in the cache, or not all of it.

    Raises:
        CatalogError: it is damaged, or there is no such file.
    """
    if Path(source).exists() or names_a_file(source):
        return inspect(source, file)
    try:
        return inspect(source, file)
    except CatalogError:
        return None  # the Hub knows better


def inspect(source: str, file: str | None = None) -> Inspection:
    """Inspect a file, a folder, or a Hugging Face id in the cache; `file` is which of its files is meant.

    Raises:
        CatalogError: nothing is there, or it is damaged; the text names it and what is the matter.
    """
    place = place_of(source)
    if place is not None and file is not None:
        place /= file
    if place is None or not place.exists():
        where = "" if names_a_file(source) else ", nor is it in the Hugging Face cache"
        raise CatalogError(f"{source if file is None else Path(source, file)} does not exist{where}.")
    try:
        with foreign_files.reading(_not_understood):
            return _of_folder(place, source) if place.is_dir() else of_file(place)
    except DamagedFile as error:
        text = str(error)
        raise CatalogError(text if text.startswith("/") else f"{place} {text}") from None


def _not_understood(error: Exception) -> DamagedFile:
    """A configuration may hold anything: a list for a number, a name for a list."""
    return DamagedFile(f"describes nothing that could be: {DamagedFile.of(error)}")


def of_file(file: Path) -> Inspection:
    """Raises:
    DamagedFile: it is not a whole file of its format.
    """
    return _of_header(str(file), weights.named(file))


def _of_header(source: str, header: Header) -> Inspection:
    if checkpoints.is_checkpoint(header):
        return checkpoints.of_checkpoint(source, header, header.container)
    if header.container != "GGUF" and header.has(f"{checkpoints.UNET}input_blocks."):
        return checkpoints.of_unet(source, header.within(checkpoints.UNET), header.container)
    return single_networks.of_network(source, header, header.container)


def _of_folder(folder: Path, source: str) -> Inspection:
    index = weights.read_json(folder / folders.INDEX)
    if index is not None:
        if not isinstance(index.get("_class_name"), str):
            raise DamagedFile(
                f"{folder}/{folders.INDEX} names no pipeline: its `_class_name` has to be a name"
            )
        return folders.of_model(folder, source, index)
    if (folder / folders.INDEX).exists():
        raise DamagedFile(f"{folder}/{folders.INDEX} is not JSON, or not an object")
    config = weights.read_json(folder / "config.json")
    files = sorted(folder.glob(_LAYERS))
    if config is not None:
        return _of_configured(folder, source, config)
    if len(files) == 1:
        return of_file(files[0])
    raise DamagedFile(f"{folder} says nothing of itself: it has no {folders.INDEX} and no config.json")


def _of_configured(folder: Path, source: str, config: Mapping[str, Any]) -> Inspection:
    header = weights.of_folder(folder) or Header({})
    return Inspection(
        source=source,
        layout="diffusers folder" if "_class_name" in config else "transformers folder",
        precision=header.precision,
        size_bytes=header.size_bytes,
        parameters=header.parameters,
        missing=() if header.tensors else ("weights",),
        **configs.of_config(config),
    )
