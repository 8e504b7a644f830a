"""By which hashes other programs know a model's and a LoRA's weights.

A model's is A1111's: the first ten digits of the SHA-256 of its file, or in a folder of its denoiser's.
A LoRA's is the first twelve of the SHA-256 of what follows the header of its file, which names may be changed
in.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from storage import file_hashes, model_families
from storage.catalog import Catalog
from storage.catalog_companions import LoraEntry
from storage.contract import GenerationRequest

log = logging.getLogger(__name__)

_DENOISERS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
_LORA = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True)
class Hashes:
    """Empty where the weights are in several files, or not on this machine."""

    model: str = ""
    loras: Mapping[str, str] = field(default_factory=dict)


def hashes_of(request: GenerationRequest, catalog: Catalog) -> Hashes:
    """Of all the weights that a request is drawn with."""
    entry = catalog.models.get(request.model)
    if entry is None:
        return Hashes()
    known = {lora.name: entry.loras[lora.name] for lora in request.loras if lora.name in entry.loras}
    loras = {
        name: found for name, lora in known.items() if (found := _of(_lora_file(lora), header=False)[:12])
    }
    source = entry.files_for(request.task).weights_file
    folder = model_families.FAMILIES[model_families.of_folder(source) or entry.family].denoiser
    return Hashes(_of(_model_file(source, folder))[:10], loras)


def _model_file(source: str, folder: str) -> Path | None:
    place = Path(source)
    if place.is_file():
        return place
    return _first(source, [f"{folder}/{name}" for name in _DENOISERS])


def _lora_file(lora: LoraEntry) -> Path | None:
    place = Path(lora.source)
    return place if place.is_file() else _first(lora.source, [lora.file or _LORA])


def _first(source: str, names: list[str]) -> Path | None:
    """The first of these files that is in a folder, or was downloaded of a Hugging Face id."""
    place = Path(source)
    if place.is_dir():
        return next((place / name for name in names if (place / name).is_file()), None)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = [try_to_load_from_cache(source, name) for name in names]
    except HFValidationError:
        return None
    return next((Path(each) for each in found if isinstance(each, str)), None)


def _of(file: Path | None, *, header: bool = True) -> str:
    if file is None:
        return ""
    try:
        return file_hashes.sha256(file, header=header)
    except OSError:
        log.warning("the weights at %s could not be read to tell their hash", file, exc_info=True)
        return ""
