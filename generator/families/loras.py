"""LoRAs: small weights added to a model's own, in float32 and then rounded once."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from generator import pretrained
from generator.families import lora_files
from generator.families.base import WeightedLora
from generator.families.lora_changes import Fields, Misfit, changed, changed_bias
from generator.families.lora_layers import Layer, layers_by_name
from generator.families.weight_sharing import clone_sharing_weights
from generator.inspection.admission import admit
from storage.catalog_companions import LoraEntry
from storage.errors import CatalogError

LORA = "pytorch_lora_weights.safetensors"
"""The file of a folder or Hugging Face id that diffusers takes for a LoRA."""

Change = tuple[WeightedLora, Fields]


def with_loras(pipeline: Any, loras: Sequence[WeightedLora]) -> Any:
    """A pipeline of the same parts, but with the LoRAs' weights added where they have any.

    A part that none of them changes is the very same. One that is changed shares the weights of all its
    layers that are not, and is an ordinary network again: neither slower nor of another kind.

    Raises:
        CatalogError: a LoRA cannot be read, or does not fit the model; the text names it and the reason.
    """
    changes = _changes(pipeline, loras)
    found = copy.copy(pipeline)
    for part in {layer.part for layer in changes}:
        setattr(found, part, clone_sharing_weights(getattr(pipeline, part)))
    _apply(found, changes)
    return found


def add_loras(pipeline: Any, loras: Sequence[WeightedLora]) -> None:
    """Add the LoRAs' weights to the pipeline's own, of which nothing is kept: one layer at a time.

    Raises:
        CatalogError: as `with_loras`; then nothing, or not all, is added.
    """
    _apply(pipeline, _changes(pipeline, loras))


def _changes(pipeline: Any, loras: Sequence[WeightedLora]) -> dict[Layer, list[Change]]:
    """Changes of each layer, in the order of the LoRAs."""
    layers = layers_by_name(pipeline)
    found: dict[Layer, list[Change]] = defaultdict(list)
    for lora in loras:
        for layer, fields in _read(lora.entry, layers, pipeline):
            found[layer].append((lora, fields))
    return found


def _apply(pipeline: Any, changes: Mapping[Layer, Sequence[Change]]) -> None:
    for layer, each in changes.items():
        _change(getattr(pipeline, layer.part).get_submodule(layer.path), each)
    _join_projections(pipeline.unet, [layer.path for layer in changes if layer.part == "unet"])


def _read(entry: LoraEntry, layers: Mapping[str, Layer], pipeline: Any) -> list[tuple[Layer, Fields]]:
    """Tensors of a file for each layer of this pipeline; none is left over."""
    try:
        file = pretrained.file_of(entry.source, entry.file, LORA)
        admit("LoRA", str(file), "loras", unet=pipeline.unet.config)
        tensors, metadata = pretrained.tensors(file)
    except pretrained.UNREADABLE as error:
        raise _unusable(entry, pretrained.reason(entry.source, error)) from error
    found = lora_files.by_layer(tensors, metadata)
    made_for, model = lora_files.base_of(found, metadata), _base(pipeline)
    if made_for is not None and made_for not in model:
        raise _unusable(entry, f"it was made for {made_for}, and this model is {' or '.join(model)}.")
    unknown = [layer for layer, fields in found.items() if layer not in layers or "" in fields]
    if unknown:
        raise _unusable(entry, f"this model has no place for {_counted(unknown)}.")
    if not found:
        raise _unusable(entry, "it holds no weights.")
    return [(layers[layer], fields) for layer, fields in found.items()]


def _base(pipeline: Any) -> tuple[str, ...]:
    """Base models that the pipeline's may be."""
    if getattr(pipeline, "text_encoder_2", None) is not None:
        return (lora_files.XL,)
    known = lora_files.WIDTHS.get(pipeline.unet.config.cross_attention_dim)
    return (lora_files.SD_1, lora_files.SD_2) if known is None else (known,)


def _counted(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} others of its layers"


def _change(module: Any, changes: Sequence[Change]) -> None:
    """Give a layer weights of its own, in its precision.

    Raises:
        CatalogError: a file has other tensors for it than fit.
    """
    weight, bias = before = _in_float32(module.weight), _in_float32(getattr(module, "bias", None))
    for (entry, strength), given in changes:
        fields = {name: each.to(module.weight.device, torch.float32) for name, each in given.items()}
        try:
            weight, bias = changed(weight, fields, strength), changed_bias(bias, fields, strength)
        except Misfit as reason:
            raise _unusable(entry, f"{reason}.") from reason
    for name, old, own in zip(("weight", "bias"), before, (weight, bias), strict=True):
        if own is not old:
            rounded = torch.empty_like(getattr(module, name)).copy_(own)
            setattr(module, name, torch.nn.Parameter(rounded, requires_grad=False))


def _in_float32(weight: Any) -> Any:
    return None if weight is None else weight.detach().float()


def _join_projections(unet: Any, changed_paths: Sequence[str]) -> None:
    """Join again what was joined for a GPU, where one of the projections is another now."""
    for path in {path.rpartition(".")[0] for path in changed_paths}:
        attention = unet.get_submodule(path)
        if getattr(attention, "fused_projections", False):
            attention.fuse_projections(fuse=True)


def _unusable(entry: LoraEntry, reason: str) -> CatalogError:
    where = f"{entry.source}/{entry.file}" if entry.file else entry.source
    return CatalogError(f"The LoRA at {where} cannot be used: {reason}")
