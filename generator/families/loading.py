"""From what a catalog calls a source to networks on a device."""

from __future__ import annotations

import logging
import pkgutil
from pathlib import Path

import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from generator import devices, pretrained
from generator.device_errors import OF_THE_DEVICE
from generator.families.base import Family
from generator.families.sources import family_of, is_single_file, layout_beside, unusable
from generator.memory.plan import PLAIN, MemoryPlan
from storage.errors import CatalogError
from storage.model_families import FAMILIES

log = logging.getLogger(__name__)


def load(source: str, device: torch.device, name: str = "sd", plan: MemoryPlan = PLAIN) -> Family:
    """Load a diffusers folder, a single `.safetensors` file or a Hugging Face id.

    Each says itself of which family it is; where its pipeline class does not, it is of the family `name`.

    Raises:
        CatalogError: what is there cannot be loaded; the text names the source and the reason.
    """
    dtype = devices.dtype(device)
    kind: type[Family] = pkgutil.resolve_name(FAMILIES[family_of(source) or name].code)
    try:
        loaded = kind.load(source, device, dtype, plan)
        if dtype is torch.float16 and not loaded.is_sound():
            del loaded  # before the next comes
            wider = devices.wider_dtype(device)
            log.warning("%s overflows in float16: it is drawn with in %s", source, wider)
            loaded = kind.load(source, device, wider, plan)
        return loaded  # noqa: TRY300  the second loading raises the same errors
    except OF_THE_DEVICE:
        raise
    except CatalogError:
        raise
    except pretrained.UNREADABLE as error:
        raise unusable(source, _reason(source, error)) from error


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
    if isinstance(error, LocalEntryNotFoundError | HfHubHTTPError):
        return (
            "how its networks are laid out is neither in the Hugging Face cache nor to be had from the Hub."
            f" Put the diffusers folder of such a model beside it as {layout}; it needs no weights"
            " (docs/operating.md, “A single file”)."
        )
    return first
