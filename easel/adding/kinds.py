"""Kinds of things that can be added: a model, or what stands beside one; told from headers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generator.families import sources
from generator.inspection import acceptance, inspecting
from generator.inspection.inspected import Kind
from storage.errors import CatalogError, FetchError

KINDS = {
    "model": "a whole model",
    "lora": "a LoRA",
    "control": "a control network",
    "embedding": "an embedding",
    "upscaler": "an upscaler",
    "vae": "a VAE",
}
_KINDS = {
    Kind.MODEL: "model",
    Kind.LORA: "lora",
    Kind.CONTROL: "control",
    Kind.T2I_ADAPTER: "control",
    Kind.EMBEDDING: "embedding",
    Kind.UPSCALER: "upscaler",
    Kind.VAE: "vae",
}


def kind_of(place: Path) -> str:
    """Kind of what lies there, one of KINDS.

    Raises:
        FetchError: it cannot be told.
    """
    try:
        found = inspecting.inspect(str(place))
    except CatalogError as error:
        raise FetchError(str(error)) from None
    if found.kind in _KINDS:
        return _KINDS[found.kind]
    if found.kind is not Kind.UNKNOWN:
        raise FetchError(acceptance.sentence(found))
    raise FetchError(f"{place.name} cannot be told by its weights: say what it is with --kind.")


def family_of(place: Path) -> str | None:
    """Family of a whole model; None where it does not say.

    Raises:
        FetchError: it is none that Easel draws with; the text says what it is instead.
    """
    try:
        return sources.family_of(str(place))
    except CatalogError as error:
        raise FetchError(str(error)) from None


def read_json(file: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
