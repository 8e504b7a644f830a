"""Networks that a catalog names by files of their own, in place of those of a model: its UNet, its VAE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from generator import pretrained
from generator.families import checkpoints
from generator.families.checkpoints import UNET
from generator.families.sources import is_single_file, unusable
from storage.catalog_files import ModelFiles


def named(files: ModelFiles, layout: str, dtype: torch.dtype) -> dict[str, Any]:
    """A pipeline's parts that the catalog names; `layout` is the folder or id that describes them.

    Raises:
        CatalogError: one of the files is none, or does not fit the layout.
    """
    parts: dict[str, Any] = {}
    if files.unet is not None:
        parts["unet"] = _unet(files.unet, layout, dtype)
    if files.vae is not None:
        parts["vae"] = _vae(files.vae, layout, dtype)
    return parts


def check_whole(source: str, part: str, network: Any) -> None:
    """Raises:
    CatalogError: some of its weights were in no file.
    """
    missing = [name for name, weight in network.named_parameters() if weight.is_meta]
    if missing:
        reason = (
            f"{part} lacks {len(missing)} of the tensors that its configuration asks for, {missing[0]} for"
            " one: it is a model of another size, or a part of one."
        )
        raise unusable(source, reason)


def _unet(file: str, layout: str, dtype: torch.dtype) -> Any:
    names = checkpoints.header_of(file).shapes
    if not checkpoints.is_unet(names):
        raise unusable(file, "it holds no UNet.")
    tensors = pretrained.weights(file)
    if "input_blocks.0.0.weight" in tensors:
        tensors = {f"{UNET}{name}": tensor for name, tensor in tensors.items()}
    return _read(UNet2DConditionModel, file, "unet", tensors, layout, dtype)


def _vae(source: str, layout: str, dtype: torch.dtype) -> Any:
    if is_single_file(source):
        checkpoints.header_of(source)
        return _read(AutoencoderKL, source, "vae", pretrained.weights(source), layout, dtype)
    folder = "vae" if (Path(source) / "vae").is_dir() else ""
    kind = pretrained.configuration(AutoencoderKL, source, folder).get("_class_name")
    if kind not in {None, AutoencoderKL.__name__}:
        raise unusable(source, f"it is an {kind}, and a VAE is to be an {AutoencoderKL.__name__}.")
    return pretrained.diffusers_network(AutoencoderKL, source, subfolder=folder, torch_dtype=dtype)


def _read(
    kind: Any, file: str, part: str, tensors: dict[str, torch.Tensor], layout: str, dtype: torch.dtype
) -> Any:
    try:
        network = pretrained.network_of(kind, tensors, layout, part, dtype)
    except pretrained.UNREADABLE as error:
        reason = f"its {part} does not fit the model that it is for ({pretrained.reason(file, error)})"
        raise unusable(file, reason) from error
    check_whole(file, part, network)
    return network
