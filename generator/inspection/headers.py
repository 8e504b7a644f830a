"""Headers of weight files: names, shapes and kinds of numbers of their tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Container = Literal["safetensors", "pickle", "GGUF"]

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
    "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
"""Bits of a number, by its kind's name in `.safetensors`."""
_PRECISIONS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "I8": "int8", "U8": "uint8"}
_SCALES = (".scale_weight", ".weight_scale", "scaled_fp8", ".comfy_quant")
"""Endings of what lies beside weights in fp8 that mean nothing without their factors."""


class TensorHeader(NamedTuple):
    shape: tuple[int, ...]
    dtype: str
    """As `.safetensors` names it, or GGUF's kind of quantization."""

    @property
    def parameters(self) -> int:
        return math.prod(self.shape)


def is_plausible(shape: Sequence[object]) -> bool:
    """False for what no tensor has: sides that are no number, negative or endless, or too many of them."""
    return len(shape) <= 16 and all(type(side) is int and 0 <= side < 2**48 for side in shape)


@dataclass(frozen=True)
class Header:
    """All of one network's or checkpoint's, in one file or in several."""

    tensors: Mapping[str, TensorHeader]
    metadata: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    container: Container = "safetensors"
    calls: tuple[str, ...] = ()
    """Functions that a pickle would call when it is loaded, other than those that make tensors."""

    @property
    def parameters(self) -> int:
        return sum(tensor.parameters for tensor in self.tensors.values())

    @property
    def precision(self) -> str:
        """In which most of its numbers are."""
        numbers: Counter[str] = Counter()
        for tensor in self.tensors.values():
            numbers[tensor.dtype] += tensor.parameters
        most = numbers.most_common(1)[0][0] if numbers else ""
        if self.container == "GGUF":
            return f"GGUF {most}"
        if self.is_scaled:
            return "scaled fp8"
        return "fp8" if most.startswith("F8") else _PRECISIONS.get(most, most.lower())

    @property
    def is_scaled(self) -> bool:
        return any(name.endswith(_SCALES) for name in self.tensors)

    def has(self, *beginnings: str) -> bool:
        """True if the name of any tensor begins so."""
        return any(name.startswith(beginnings) for name in self.tensors)

    def within(self, beginning: str) -> Header:
        """The tensors whose names begin so, without that beginning."""
        found = {
            name.removeprefix(beginning): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(beginning)
        }
        return Header(found, self.metadata, self.size_bytes, self.container, self.calls)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor; empty where there is none of this name."""
        found = self.tensors.get(name)
        return found.shape if found else ()

    def shapes(self, end: str) -> Iterator[tuple[int, ...]]:
        """Shapes of the tensors whose names end so."""
        return (tensor.shape for name, tensor in self.tensors.items() if name.endswith(end))


def together(headers: list[Header]) -> Header:
    """Join the headers of a network's parts."""
    tensors = {name: tensor for header in headers for name, tensor in header.tensors.items()}
    metadata = {key: text for header in headers for key, text in header.metadata.items()}
    container = headers[0].container if headers else "safetensors"
    return Header(tensors, metadata, sum(header.size_bytes for header in headers), container)
