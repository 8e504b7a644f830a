"""By which hashes other programs know a model's and a LoRA's weights.

A model's is A1111's: the first ten digits of the SHA-256 of its file, or in a folder of its denoiser's.
A LoRA's is the first twelve of the SHA-256 of what follows the header of its file, which names may be changed
in. Gigabytes are read once: what was found is kept beside Easel's other caches by path, size and time.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import platformdirs

from storage import model_families
from storage.catalog import Catalog
from storage.catalog_companions import LoraEntry
from storage.contract import GenerationRequest

log = logging.getLogger(__name__)

_DENOISERS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
_LORA = "pytorch_lora_weights.safetensors"
_HEADER_LENGTH = 8


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
    source = entry.source_for(request.task)
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
        stat = file.stat()
        return _kept(file, stat.st_size, stat.st_mtime_ns, header)
    except OSError:
        log.warning("the weights at %s could not be read to tell their hash", file, exc_info=True)
        return ""


@cache
def _kept(file: Path, size: int, written_ns: int, header: bool) -> str:
    note = _folder() / hashlib.sha256(f"{file.resolve()} {size} {written_ns} {header}".encode()).hexdigest()
    try:
        return note.read_text(encoding="ascii")
    except (OSError, ValueError):
        found = _read(file, header=header)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        part = note.with_suffix(f".{secrets.token_hex(4)}")
        part.write_text(found, encoding="ascii")
        part.replace(note)
    except OSError:
        log.info("the hash of %s is not kept", file, exc_info=True)
    return found


def _folder() -> Path:
    return platformdirs.user_cache_path("easel") / "hashes"


def _read(file: Path, *, header: bool) -> str:
    with file.open("rb") as opened:
        if not header:
            opened.seek(_HEADER_LENGTH + int.from_bytes(opened.read(_HEADER_LENGTH), "little"))
        return hashlib.file_digest(opened, "sha256").hexdigest()
