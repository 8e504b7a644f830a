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
from generator.inspection.admission import admit
from storage.catalog_files import ModelFiles

_KINDS: dict[str, Any] = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}


def named(files: ModelFiles, layout: str, dtype: torch.dtype) -> dict[str, Any]:
    """A pipeline's parts that the catalog names; `layout` is the folder or id that describes those in files.

    Raises:
        CatalogError: one of them cannot be read, or does not fit the layout.
    """
    sources = {"unet": files.unet, "vae": files.vae}
    return {part: _network(part, source, layout, dtype) for part, source in sources.items() if source}


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


def _network(part: str, source: str, layout: str, dtype: torch.dtype) -> Any:
    kind = _KINDS[part]
    folder = part if (Path(source) / part).is_dir() else ""
    admit(f"`{part}`", str(Path(source, folder)) if folder else source, part)
    if is_single_file(source):
        checkpoints.header_of(source)
        return _read(kind, source, part, layout, dtype)
    told = pretrained.configuration(kind, source, folder).get("_class_name")
    if told not in {None, kind.__name__}:
        raise unusable(source, f"it is of the class {told}, and `{part}` takes {kind.__name__}.")
    return pretrained.diffusers_network(kind, source, subfolder=folder, torch_dtype=dtype)


def _read(kind: Any, file: str, part: str, layout: str, dtype: torch.dtype) -> Any:
    tensors = pretrained.weights(file)
    if "input_blocks.0.0.weight" in tensors:
        tensors = {f"{UNET}{name}": tensor for name, tensor in tensors.items()}
    try:
        network = pretrained.network_of(kind, tensors, layout, part, dtype)
    except pretrained.UNREADABLE as error:
        reason = f"it holds no {part} that fits the model which it is for ({pretrained.reason(file, error)})"
        raise unusable(file, reason) from error
    check_whole(file, part, network)
    return network
