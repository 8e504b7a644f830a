"""Weights of linear layers in eight or four bits, by libraries that are not always installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from generator.memory.plan import Storage
from storage.errors import CatalogError

LIBRARIES: dict[Storage, str] = {"int8": "torchao", "nf4": "bitsandbytes"}
WHOLE = "encoder_hid_proj"
"""Part of a UNet whose weights stay as they are: that of image adapters, in which diffusers makes the input
of the weights' type.
"""


def check(storage: Storage) -> None:
    """Raises:
    CatalogError: its library is not installed.
    """
    library = LIBRARIES.get(storage)
    if library is not None and find_spec(library) is None:
        raise CatalogError(
            f'memory = "{storage}" needs {library}, which is not installed:'
            " pip install 'easel-discord[quantized]'."
        )


def quantize(network: Any, storage: Storage, dtype: torch.dtype) -> None:
    """Make the weights of its linear layers smaller; bitsandbytes does so once they come to a device.

    Raises:
        CatalogError: the library that does it is not installed.
    """
    check(storage)
    if storage == "int8":
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        quantize_(network, Int8WeightOnlyConfig(), filter_fn=_is_to_be_small)
    else:
        _replace_linear(network, dtype)


def _is_to_be_small(layer: torch.nn.Module, path: str) -> bool:
    """True for a linear layer whose weights nobody has quantized yet."""
    whole = isinstance(layer, torch.nn.Linear) and type(layer.weight.data) is torch.Tensor
    return whole and not path.startswith(WHOLE)


def _replace_linear(network: torch.nn.Module, dtype: torch.dtype) -> None:
    """bitsandbytes quantizes a layer's weights when these come to the device."""
    from bitsandbytes.nn import LinearNF4, Params4bit

    for name, layer in network.named_children():
        if name == WHOLE:
            continue
        if not isinstance(layer, torch.nn.Linear):
            _replace_linear(layer, dtype)
            continue
        small = LinearNF4(layer.in_features, layer.out_features, compute_dtype=dtype, device="meta")
        small.weight = layer.weight
        if not isinstance(layer.weight, Params4bit):
            small.weight = Params4bit(layer.weight.detach(), requires_grad=False, quant_type="nf4")
        small.bias = layer.bias
        setattr(network, name, small)
