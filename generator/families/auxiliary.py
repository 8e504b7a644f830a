"""Companions: smaller networks that a catalog entry names beside its model, computing between two ticks."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from generator import pretrained
from generator.device_errors import OF_THE_DEVICE
from generator.memory.placement import visiting
from storage.errors import CatalogError

T = TypeVar("T")


class OnDevice(Protocol):
    """Runs a short computation where the device is, and returns what it returns."""

    def __call__(self, function: Callable[[], T], /) -> T: ...


def here(function: Callable[[], T], /) -> T:
    return function()


class Companion(ABC):
    """One such network on a device. Any thread may use it; only what runs `on_device` computes."""

    def __init__(self, network: Any, device: torch.device, on_device: OnDevice = here) -> None:
        self._network = network.to(device).eval()
        self._device = device
        self._reach = on_device
        self._leaves = False

    @classmethod
    @abstractmethod
    def load(cls, source: str, device: torch.device, on_device: OnDevice = here) -> Self:
        """Load a folder or Hugging Face id, in full precision.

        Raises:
            CatalogError: it cannot be loaded, or is of another kind; the text names the source.
        """

    def reached(self, on_device: OnDevice) -> Self:
        """The same network, called another way."""
        other = copy.copy(self)
        other._reach = on_device  # noqa: SLF001  one of its own kind
        return other

    def leaving(self, device: torch.device) -> Self:
        """The same network, which waits where it is now and comes to the device when it is called."""
        self._device = device
        self._leaves = True
        return self

    def _on_device(self, function: Callable[[], T]) -> T:
        """Run what computes with the network, where the device is."""
        return self._reach(partial(self._with_network, function) if self._leaves else function)

    def _with_network(self, function: Callable[[], T]) -> T:
        with visiting(self._network, self._device):
            return function()

    @property
    def size_bytes(self) -> int:
        return weights_bytes(self._network, on=self._device)


def weights_bytes(*networks: torch.nn.Module, on: torch.device) -> int:
    """Bytes that the networks' weights take on a device; of those that wait elsewhere, none."""
    weights = (weight for network in networks for weight in network.parameters())
    return sum(_bytes_of(weight) for weight in weights if weight.device.type == on.type)


def _bytes_of(weight: torch.Tensor) -> int:
    """Bytes that it takes; a quantized weight is made of smaller tensors."""
    if not is_traceable_wrapper_subclass(weight):
        return weight.numel() * weight.element_size()
    parts, _ = weight.__tensor_flatten__()
    return sum(_bytes_of(getattr(weight, part)) for part in parts)


@contextmanager
def reading(kind: str, source: str) -> Iterator[None]:
    """Turn an error in reading a companion's files into a sentence that names them.

    Raises:
        CatalogError: something did.
    """
    try:
        yield
    except OF_THE_DEVICE:
        raise
    except pretrained.UNREADABLE as error:
        reason = pretrained.reason(source, error)
        raise CatalogError(f"The {kind} at {source} cannot be loaded: {reason}") from error
