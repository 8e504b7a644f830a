"""From what a catalog calls a source to networks on a device."""

from __future__ import annotations

import logging
import pkgutil
from pathlib import Path

import torch

from generator import devices, pretrained
from generator.device_errors import OF_THE_DEVICE
from generator.families.base import Family, WeightedLora
from generator.families.sdxl_refiner import StableDiffusionXLRefiner
from generator.families.sources import family_of, is_single_file, layout_beside, unusable
from generator.memory.plan import PLAIN, MemoryPlan
from storage import file_hashes
from storage.catalog_files import ModelFiles
from storage.catalog_model import ModelEntry
from storage.errors import CatalogError
from storage.model_families import FAMILIES

log = logging.getLogger(__name__)


def load(files: ModelFiles | str, device: torch.device, plan: MemoryPlan = PLAIN) -> Family:
    """Load a model; a source alone stands for one of which the catalog says nothing else.

    Each says itself of which family it is; where its pipeline class does not, the catalog does.

    Raises:
        CatalogError: what is there cannot be loaded; the text names the source and the reason.
    """
    files = ModelFiles(source=files) if isinstance(files, str) else files
    name = family_of(files.source, files.stated_family)
    return _load(pkgutil.resolve_name(FAMILIES[name].code), files, device, plan)


def load_refiner(source: str, device: torch.device, plan: MemoryPlan = PLAIN) -> Family:
    """Load the refiner of Stable Diffusion XL from the same places.

    Raises:
        CatalogError: what is there cannot be loaded, or is none; the text names the source and the reason.
    """
    return _load(StableDiffusionXLRefiner, ModelFiles(source=source), device, plan)


def _load(kind: type[Family], files: ModelFiles, device: torch.device, plan: MemoryPlan) -> Family:
    dtype, source = devices.dtype(device), files.source
    _check_hash(files)
    try:
        loaded = kind.load(files, device, dtype, plan)
        if dtype is torch.float16 and not loaded.is_sound():
            del loaded  # before the next comes
            wider = devices.wider_dtype(device)
            log.warning("%s overflows in float16: it is drawn with in %s", source, wider)
            loaded = kind.load(files, device, wider, plan)
        return loaded  # noqa: TRY300  the second loading raises the same errors
    except OF_THE_DEVICE:
        raise
    except CatalogError:
        raise
    except pretrained.UNREADABLE as error:
        raise unusable(source, _reason(source, error)) from error


def complete(family: Family, entry: ModelEntry) -> Family:
    """The model with what its catalog entry makes part of it: LoRAs and embeddings.

    Raises:
        CatalogError: one of these cannot be used; the text names it and the reason.
    """
    if entry.always_loras:
        family.add_loras([WeightedLora(lora, lora.weight) for lora in entry.always_loras.values()])
    if entry.embeddings:
        family.add_embeddings(entry.embeddings)
    return family


def _reason(source: str, error: Exception) -> str:
    first = pretrained.reason(source, error)
    if not is_single_file(source):
        if Path(source).is_dir():
            return first
        return (
            f"{first} (Is all of it in the Hugging Face cache? Where there is a network, `easel models check"
            " --load` fetches the rest.)"
        )
    layout = layout_beside(source)
    if layout.is_dir():
        return f"{first} (Does the layout in {layout} fit it, with its tokenizer and every config.json?)"
    return (
        f"{first} (Its networks are laid out otherwise than those of the kind that it looks like. Put"
        f" the diffusers folder of the model that it was trained from beside it as {layout}; it needs no"
        " weights.)"
    )


def _check_hash(files: ModelFiles) -> None:
    if files.sha256 is None:
        return
    file = Path(files.weights_file)
    try:
        found = file_hashes.sha256(file)
    except OSError as error:
        raise unusable(str(file), f"it cannot be read: {error.strerror}.") from None
    if found != files.sha256.casefold():
        raise unusable(
            str(file),
            f"its SHA-256 is {found}, and the catalog says {files.sha256.casefold()}: it is damaged, or"
            " another file. Download it again, or mend `sha256`.",
        )
