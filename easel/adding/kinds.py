"""Kinds of things that can be added: a model, or what stands beside one; told from headers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from generator.families import sources
from storage.errors import CatalogError, FetchError

KINDS = {
    "model": "a whole model",
    "lora": "a LoRA",
    "control": "a control network",
    "embedding": "an embedding",
    "upscaler": "an upscaler",
    "vae": "a VAE",
}
_KEYS = {
    "lora": ("lora_", "lora.", "hada_", "lokr_", ".dora_scale"),
    "control": ("control_model.", "controlnet_", "input_hint_block."),
    "embedding": ("emb_params", "clip_l", "clip_g", "string_to_param"),
    "upscaler": ("conv_first.", "RRDB_trunk", "model.0.weight", "body.0."),
    "vae": ("encoder.down", "decoder.up", "first_stage_model."),
}
"""Parts of the names of the weights by which a kind is known, the surest first."""
_CLASSES = {
    "ControlNetModel": "control",
    "AutoencoderKL": "vae",
    "swin2sr": "upscaler",
}


def kind_of(place: Path) -> str:
    """Kind of what lies there, one of KINDS.

    Raises:
        FetchError: it cannot be told.
    """
    found = _kind_of_folder(place) if place.is_dir() else _kind_of_file(place)
    if found is None:
        raise FetchError(f"{place.name} cannot be told by its weights: say what it is with --kind.")
    return found


def family_of(place: Path) -> str | None:
    """Family of a whole model; None where it does not say.

    Raises:
        FetchError: it is none that Easel draws with; the text says what it is instead.
    """
    try:
        return sources.family_of(str(place))
    except CatalogError as error:
        raise FetchError(str(error)) from None


def _kind_of_folder(folder: Path) -> str | None:
    if (folder / "model_index.json").is_file():
        return "model"
    told = read_json(folder / "config.json")
    return _CLASSES.get(told.get("_class_name", "")) or _CLASSES.get(told.get("model_type", ""))


def _kind_of_file(file: Path) -> str | None:
    try:
        with safe_open(file, "pt") as weights:
            names = list(weights.keys())
    except (SafetensorError, OSError) as error:
        raise FetchError(f"{file} is not a whole .safetensors file ({error}).") from None
    if any(name.startswith("model.diffusion_model.") for name in names):
        return "model"
    for kind, parts in _KEYS.items():
        if any(part in name for part in parts for name in names):
            return kind
    return None


def read_json(file: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
