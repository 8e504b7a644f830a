"""Networks that enlarge, from folders and from the single files that are passed around."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForImageToImage

from generator import pretrained
from generator.families.auxiliary import reading
from generator.families.sources import index, is_single_file
from storage.errors import CatalogError

Weights = Mapping[str, Tensor]

WINDOW = 8
"""Pixels by which a picture is mirrored outwards for networks that do not say how large their windows are."""

ARCHITECTURES = ("Compact", "HAT", "SwinIR", "DAT", "SPAN", "ESRGAN", "PLKSR")
"""spandrel's architectures that Easel enlarges with, in the order in which they are recognized."""

_KNOWN = f"Easel enlarges with Swin2SR in a folder, and {', '.join(ARCHITECTURES)} in one file"

_WRAPPED = ("params_ema.", "params-ema.", "params.", "model_state_dict.", "state_dict.")
"""Tables within a pickle that became beginnings of names when it was converted; the first is taken."""


class Enlarger(torch.nn.Module):
    """A network that makes pictures `times` larger, and of which windows want whole ones."""

    def __init__(self, network: torch.nn.Module, called: Any, times: int, window: int) -> None:
        """`called` takes (1, 3, height, width) in 0…1 and computes with `network`."""
        super().__init__()
        self.network = network
        self._called = called
        self.times = times
        self.window = window

    def forward(self, pixels: Tensor) -> Tensor:
        """(1, 3, height, width) in 0…1 to `times` that size."""
        enlarged: Tensor = self._called(pixels)
        return enlarged


def load(source: str) -> Enlarger:
    """An enlarging network in full precision, on the CPU.

    Raises:
        CatalogError: it cannot be loaded or enlarges nothing; the text names the source and the reason.
    """
    with reading("upscaler", source):
        found = _of_file(source) if is_single_file(source) else _of_folder(source)
        if found.times < 2:
            raise ValueError("it mends pictures at the size that they have, and enlarges nothing.")
    return found


def _of_folder(source: str) -> Enlarger:
    with suppress(CatalogError):
        pipeline = index(source).get("_class_name")
        if pipeline is not None:
            raise ValueError(f"it is a {pipeline}, a diffusion model: {_KNOWN}.")
    network = pretrained.network(AutoModelForImageToImage, source, dtype=torch.float32)
    window = getattr(network.config, "window_size", WINDOW)
    return Enlarger(network, lambda pixels: network(pixels).reconstruction, network.config.upscale, window)


def _of_file(source: str) -> Enlarger:
    weights = _unwrapped(pretrained.weights(source))
    known = next((each for each in _architectures() if each.detect(weights)), None)
    if known is None:
        raise ValueError(f"it is {_other(weights)}: {_KNOWN}.")
    described = known.load(weights).to(torch.float32)
    if (described.input_channels, described.output_channels) != (3, 3):
        raise ValueError(f"its pictures have {described.input_channels} channels, not three.")
    window = max(WINDOW, described.size_requirements.multiple_of)
    return Enlarger(described.model, described, described.scale, window)


def _unwrapped(weights: Weights) -> dict[str, Tensor]:
    for begin in _WRAPPED:
        within = {key.removeprefix(begin): each for key, each in weights.items() if key.startswith(begin)}
        if within:
            return within
    return dict(weights)


def _other(weights: Weights) -> str:
    """Name of what these weights are of instead."""
    if any(key.startswith("model.diffusion_model.") for key in weights):
        return "a whole diffusion model (like Stable Diffusion's x4 upscaler)"
    folder = importlib.import_module("spandrel.architectures").__path__
    for name in (module.name for module in pkgutil.iter_modules(folder)):
        with suppress(ImportError, AttributeError):
            if _architecture(name).detect(weights):
                return f"a {name}"
    return "no upscaler that spandrel knows"


@cache
def _architectures() -> tuple[Any, ...]:
    """Raises:
    ValueError: spandrel or einops is not installed.
    """
    try:
        _make_importable()
        return tuple(map(_architecture, ARCHITECTURES))
    except ImportError as error:
        raise ValueError(
            f"a single file needs {error.name}: pip install --no-deps spandrel einops (docs/operating.md)."
        ) from None


def _architecture(name: str) -> Any:
    return getattr(importlib.import_module(f"spandrel.architectures.{name}"), f"{name}Arch")()


def _make_importable() -> None:
    """Let single architectures be imported: spandrel's own __init__ imports all, and torchvision for two."""
    if "spandrel" in sys.modules:
        return
    found = importlib.util.find_spec("spandrel")
    if found is None:
        raise ModuleNotFoundError(name="spandrel")
    sys.modules["spandrel"] = importlib.util.module_from_spec(found)
