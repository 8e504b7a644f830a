"""LoRAs: small weights added to a model's own, read and added by diffusers and peft."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from generator import pretrained
from generator.device_errors import OF_THE_DEVICE
from generator.families.base import WeightedLora
from generator.families.weight_sharing import clone_sharing_weights
from generator.inspection.admission import admit
from storage.catalog_companions import LoraEntry
from storage.errors import CatalogError

ADAPTER = "added"
# Most LoRAs have nothing for the text encoders, and diffusers says so of each.
logging.getLogger("diffusers.loaders.lora_base").setLevel(logging.ERROR)

TEXT_ENCODERS = ("text_encoder", "text_encoder_2")


def with_loras(pipeline: Any, loras: Sequence[WeightedLora]) -> Any:
    """A pipeline of the same parts, but with the LoRAs' weights added where they have any.

    A part that none of them changes is the very same. One that is changed shares the weights of all its
    layers that are not, and is an ordinary network again: neither slower nor of another kind.

    Raises:
        CatalogError: a LoRA cannot be read, or does not fit the model; the text names it and the reason.
    """
    found = copy.copy(pipeline)
    encoders = [name for name in TEXT_ENCODERS if getattr(pipeline, name, None) is not None]
    for name in ("unet", *encoders):
        setattr(found, name, clone_sharing_weights(getattr(pipeline, name)))
    if getattr(found.unet, "original_attn_processors", None) is not None:
        # Projections that were fused for a GPU have no layers by the names that LoRAs know.
        found.unet.unfuse_qkv_projections()
    # One after the other: peft warns of several that are there at once.
    changed = {part for lora in loras for part in _add(found, lora)}
    for name in {"unet", *encoders} - changed:
        setattr(found, name, getattr(pipeline, name))
    return found


def _add(pipeline: Any, lora: WeightedLora) -> list[str]:
    """Add one LoRA's weights to the parts that it has any for, and say which those are."""
    _load(pipeline, lora.entry)
    pipeline.set_adapters([ADAPTER], [lora.weight])
    changed = [part for part, adapters in pipeline.get_list_adapters().items() if ADAPTER in adapters]
    for part in changed:
        _own_weights(getattr(pipeline, part))
    pipeline.fuse_lora(components=changed)
    pipeline.unload_lora_weights()
    return changed


def _load(pipeline: Any, entry: LoraEntry) -> None:
    source, file = entry.source, entry.file
    admit("LoRA", source, "loras", file, unet=pipeline.unet.config)
    if file is None and source.endswith(".safetensors"):
        source, file = str(Path(source).parent), Path(source).name
    try:
        pretrained.add_lora(pipeline, source, file, ADAPTER)
    except OF_THE_DEVICE:
        raise
    except pretrained.UNREADABLE as error:
        raise _unusable(entry, pretrained.reason(source, error)) from error
    if not any(ADAPTER in adapters for adapters in pipeline.get_list_adapters().values()):
        raise _unusable(entry, "it holds no weights for this kind of model.")


def _own_weights(network: torch.nn.Module) -> None:
    """What is to be changed is no longer the weight of the network that this is a twin of."""
    for layer in network.modules():
        if isinstance(layer, BaseTunerLayer):
            base: Any = layer.get_base_layer()
            base.weight = torch.nn.Parameter(base.weight.detach().clone(), requires_grad=False)


def _unusable(entry: LoraEntry, reason: str) -> CatalogError:
    where = f"{entry.source}/{entry.file}" if entry.file else entry.source
    return CatalogError(f"The LoRA at {where} cannot be used: {reason}")
