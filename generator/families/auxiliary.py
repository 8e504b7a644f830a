"""Companions: smaller networks that a catalog entry names beside its model, computing between two ticks."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

import torch

from generator import pretrained
from generator.device_errors import OF_THE_DEVICE
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
        self._on_device = on_device

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
        other._on_device = on_device  # noqa: SLF001  one of its own kind
        return other

    @property
    def size_bytes(self) -> int:
        return weights_bytes(self._network)


def weights_bytes(*networks: torch.nn.Module) -> int:
    """Bytes that the networks' weights take on their device."""
    weights = (weight for network in networks for weight in network.parameters())
    return sum(weight.numel() * weight.element_size() for weight in weights)


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
