"""Numbers that a catalog entry's networks have and hold, found in its files before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from generator.memory import activations, weights
from generator.memory.activations import UnetNumbers
from storage.catalog_model import ModelEntry

TEXT_ENCODERS = ("text_encoder", "text_encoder_2")
KINDS = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
_PARTS = {
    "unet": ("model.diffusion_model.",),
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0."),
    "text_encoder_2": ("conditioner.embedders.1.",),
}
"""Beginnings of the tensors' names in a whole checkpoint, in the layout of the first Stable Diffusion."""
_XL = {
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10],
    "cross_attention_dim": 2048,
    "attention_head_dim": [5, 10, 20],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
}
PUBLISHED: dict[str, dict[str, Any]] = {
    "sd": {"unet": {"cross_attention_dim": 768, "attention_head_dim": 8}, "vae": _VAE},
    "sdxl": {"unet": _XL, "vae": _VAE},
}
"""Layouts of the published models, for a single file without one of its own."""


class Needs(NamedTuple):
    """Numbers, not bytes: the precision is the device's."""

    denoiser: UnetNumbers
    autoencoder: int
    decoded: float
    """Numbers held for each pixel that is decoded."""
    scale: int
    """Pixels along one side of a latent."""
    upcast: bool
    """The autoencoder computes in float32 where the others have half of that."""
    text_encoders: tuple[int, ...]
    patched: bool
    """LoRAs are added to it."""
    steering: int
    """The largest control network, the image adapters and their encoders."""
    companions: tuple[int, ...]
    """Each computes in float32."""


def of_entry(entry: ModelEntry) -> Needs | None:
    """None where its files are not here yet, or of a kind that is not known."""
    folder = _here(entry.source)
    if folder is None:
        return None
    try:
        parts = _of_file(folder, entry) if folder.is_file() else _of_folder(folder)
        return None if parts is None else _needs(entry, folder, *parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged files are told of when they are loaded


Configs = Mapping[str, Mapping[str, Any]]


def _of_folder(folder: Path) -> tuple[dict[str, int], Configs] | None:
    configs = {part: _json(folder / part / "config.json") for part in KINDS}
    if any(configs[part].get("_class_name") != kind for part, kind in KINDS.items()):
        return None
    return {part: weights.of_folder(folder / part) for part in _PARTS if (folder / part).is_dir()}, configs


def _of_file(file: Path, entry: ModelEntry) -> tuple[dict[str, int], Configs]:
    counts = weights.of_parts(file, _PARTS)
    layout = file.with_suffix("")
    if (layout / "unet" / "config.json").is_file():
        return counts, {part: _json(layout / part / "config.json") for part in KINDS}
    return counts, PUBLISHED["sdxl" if counts["text_encoder_2"] else entry.family]


def _needs(entry: ModelEntry, place: Path, counts: Mapping[str, int], configs: Configs) -> Needs:
    vae = configs["vae"]
    text_encoders = tuple(counts[part] for part in TEXT_ENCODERS if counts.get(part))
    return Needs(
        # The layout counts; a file may hold more, or two precisions of it.
        denoiser=activations.of_denoiser(configs["unet"]),
        autoencoder=counts["vae"],
        decoded=activations.of_decoder(vae),
        scale=2 ** (len(vae["block_out_channels"]) - 1),
        upcast=len(text_encoders) == len(TEXT_ENCODERS) and bool(vae.get("force_upcast", True)),
        text_encoders=text_encoders,
        patched=bool(entry.loras),
        steering=_steering(entry),
        companions=tuple(filter(None, _companions(entry, place))),
    )


def _steering(entry: ModelEntry) -> int:
    controls = [_count(control.source) for control in entry.controls.values()]
    encoders = {adapter.image_encoder for adapter in entry.adapters.values()}
    adapters = {(adapter.source, adapter.file) for adapter in entry.adapters.values()}
    read = sum(map(_count, encoders)) + sum(_count(source, file) for source, file in adapters)
    return max(controls, default=0) + read


def _companions(entry: ModelEntry, place: Path) -> Iterator[int]:
    checker = entry.safety_checker or str(place)
    yield _count(checker, "safety_checker") or (_count(checker) if entry.safety_checker else 0)
    for named in (*entry.upscalers.values(), entry.upscaler, entry.describer, entry.segmenter):
        if named is not None:
            yield _count(named.source)


def _count(source: str, within: str | None = None) -> int:
    """Numbers in the weights of a network; 0 where they are not here."""
    place = _here(source)
    if place is None:
        return 0
    place = place / within if within else place
    if place.is_dir():
        return weights.of_folder(place)
    return weights.of_file(place) if place.suffix == weights.SUFFIX and place.is_file() else 0


def _here(source: str) -> Path | None:
    """A folder or file, or what the Hugging Face cache has of an id."""
    if Path(source).exists():
        return Path(source)
    try:
        return Path(snapshot_download(source, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def _json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
