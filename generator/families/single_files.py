"""Whole models in one file: their networks by a layout beside the file, or by one that ships with Easel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from generator import pretrained
from generator.families import checkpoints, clip_vocabulary, part_files
from generator.families.checkpoints import OLD_CLIP, Checkpoint
from generator.families.sources import layout_beside, unusable
from storage.catalog_files import ModelFiles
from storage.noise_levels import V_PREDICTION

_NETWORKS: dict[str, Any] = {
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
    "vae": AutoencoderKL,
}
"""Classes of the networks that a file may lack."""

PROBE_SIDE = 16
"""Latents along a side of the noise that a UNet is shown to learn what it predicts."""


def load(
    kind: Any, files: ModelFiles, device: torch.device, dtype: torch.dtype, arguments: dict[str, Any]
) -> Any:
    """A pipeline of this class from a single file.

    Raises:
        CatalogError: it lacks a network, or does not fit its layout.
        Exception: one of `pretrained.UNREADABLE`.
    """
    checkpoint = checkpoints.read(files.source)
    told = files.prediction_type or checkpoint.told.prediction_type
    beside = layout_beside(files.source)
    layout = beside if beside.is_dir() else checkpoint.layout(told)
    parts = arguments | part_files.named(files, str(layout), dtype)
    if layout != beside:
        parts |= {path.name: clip_vocabulary.tokenizer(path) for path in layout.glob("tokenizer*")}
    if checkpoint.has_old_names:
        parts["text_encoder"] = _by_old_names(files.source, layout, dtype)
    for name in _networks(layout) - checkpoint.parts - set(parts):
        parts[name] = _from_layout(files.source, name, layout, dtype)
    pipeline = pretrained.whole_file(kind, files.source, dtype=dtype, config=str(layout), **parts)
    if "unet" not in parts:
        _check_surplus(files.source, checkpoint, pipeline.unet, layout)
    if checkpoint.kind == "sd-2" and not checkpoint.inpaints and told is None:
        _check_prediction(files.source, layout, pipeline, device)
    return pipeline


def change_noise(pipeline: Any, **changes: Any) -> None:
    """Change keys of the config that each sampler is made of."""
    if changes:
        scheduler = pipeline.scheduler
        # diffusers takes its own default for each key of this list, whatever the key says.
        defaults = set(scheduler.config.get("_use_default_values", [])) - set(changes)
        config = {**scheduler.config, **changes, "_use_default_values": sorted(defaults)}
        pipeline.scheduler = type(scheduler).from_config(config)


def _networks(layout: Path) -> set[str]:
    """Names of a layout's networks that are not its UNet."""
    index = json.loads((layout / "model_index.json").read_text(encoding="utf-8"))
    return {name for name in _NETWORKS if isinstance(index.get(name), list) and index[name][0]}


def _by_old_names(source: str, layout: Path, dtype: torch.dtype) -> Any:
    """The text encoder of a file from when its networks stood in no `text_model` yet."""
    named = {
        name.replace(OLD_CLIP, f"{OLD_CLIP}text_model."): tensor
        for name, tensor in pretrained.weights(source).items()
        if name.startswith(OLD_CLIP)
    }
    return pretrained.text_encoder_of(CLIPTextModel, named, str(layout), "text_encoder", dtype)


def _from_layout(source: str, name: str, layout: Path, dtype: torch.dtype) -> Any:
    if any((layout / name).glob("*.safetensors")):
        return pretrained.network(_NETWORKS[name], str(layout), subfolder=name, dtype=dtype)
    if name == "vae":
        raise unusable(source, "it holds no VAE, nor does a folder beside it: name one with `vae`.")
    raise unusable(
        source,
        "it holds no text encoder, nor does a folder beside it: name it with `unet`, and with `source` a"
        " whole model (folder, file or id) of the kind that it is for.",
    )


def _check_surplus(source: str, checkpoint: Checkpoint, unet: Any, layout: Path) -> None:
    """Refuse tensors that the layout has no place for: they would be left out without a word."""
    surplus = checkpoint.unet_tensors - len(unet.state_dict())
    if surplus > 0:
        reason = f"its UNet has {surplus} tensors more than the layout in {layout}: that is of another model."
        raise unusable(source, reason)


def _check_prediction(source: str, layout: Path, pipeline: Any, device: torch.device) -> None:
    """Stable Diffusion 2's two kinds have the same tensors, and draw nothing by each other's schedule."""
    predicted = _predicted(pipeline.unet, device)
    told = pipeline.scheduler.config.prediction_type
    if layout.parent == checkpoints.LAYOUTS and predicted != told:
        base = checkpoints.LAYOUTS / "sd-2-base" / "unet" / "config.json"
        side = json.loads(base.read_text(encoding="utf-8"))["sample_size"]
        pipeline.unet.register_to_config(sample_size=side)
        change_noise(pipeline, prediction_type=predicted)
    elif predicted != told:
        raise unusable(
            source,
            f"it seems to be of {predicted}, and the layout in {layout} is of {told}. Say which it is with"
            " `prediction_type`.",
        )


def _predicted(unet: Any, device: torch.device) -> str:
    predicted = "epsilon" if predicts_noise(unet.to(device)) else V_PREDICTION
    unet.to("cpu")  # where the rest is: what goes to the device when, is not decided here
    return predicted


@torch.inference_mode()
def predicts_noise(unet: Any) -> bool:
    """True for epsilon: of nothing but noise, such a UNet finds that noise, and one of v a faint picture."""
    shape = (1, unet.config.in_channels, PROBE_SIDE, PROBE_SIDE)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(unet.device, unet.dtype)
    words = noise.new_zeros((1, 77, unet.config.cross_attention_dim))
    last = torch.tensor([999], device=unet.device)
    found = unet(noise, last, encoder_hidden_states=words, return_dict=False)[0]
    return bool(torch.cosine_similarity(found.float().flatten(), noise.float().flatten(), dim=0) > 0.5)
