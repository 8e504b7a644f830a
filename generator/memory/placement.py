"""Networks where a memory plan wants them: on the device, or in main memory until they compute.

What watches layers are diffusers' own hooks. A network that is watched is a clone: the model's own stays as
it was loaded, in main memory, so that LoRAs and adapters can be added to it. Weights that two of a model's
networks share, their clones share as well.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from diffusers.hooks import apply_group_offloading
from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from generator import devices
from generator.memory import quantization
from generator.memory.plan import PLAIN, TILE, MemoryPlan

MAIN = torch.device("cpu")

Network = TypeVar("Network", bound=torch.nn.Module)


class Placement:
    """One model's networks on one device."""

    def __init__(self, device: torch.device, dtype: torch.dtype, plan: MemoryPlan = PLAIN) -> None:
        self.device = device
        self.plan = plan
        self._dtype = dtype
        self._turns = _Turns(device)
        self._placed: Any = WeakTensorKeyDictionary()
        """The weight that stands for one of the model's own in its watched networks."""

    def denoiser(self, network: Any) -> Any:
        """A UNet, ready to compute on the device.

        Raises:
            CatalogError: what its plan needs is not installed.
        """
        network = self._laid_out(network)
        if self.plan.hooked:
            network = self._watched(network)
        if self.plan.group_offload:
            return network
        if not self.plan.variants_leave:
            return network.to(self.device)
        if not any(isinstance(hook, _Turns) for hook in network._forward_pre_hooks.values()):  # noqa: SLF001
            network.register_forward_pre_hook(self._turns)
        return network

    def control(self, network: Any) -> Any:
        """A control network: it computes beside a UNet, and takes no turns with it."""
        network = self._laid_out(network)
        return self._watched(network) if self.plan.group_offload else network.to(self.device)

    def _watched(self, network: Any) -> Any:
        watched = self._clone(network)
        if self.plan.group_offload:
            streams = devices.abilities(self.device).streams
            apply_group_offloading(watched, self.device, MAIN, "leaf_level", use_stream=streams)
        elif self.plan.storage == "fp8":
            whole = (*DEFAULT_SKIP_MODULES_PATTERN, quantization.WHOLE)
            watched.enable_layerwise_casting(torch.float8_e4m3fn, self._dtype, skip_modules_pattern=whole)
        else:
            quantization.quantize(watched, self.plan.storage, self._dtype)
        self._remember(network, watched)
        return watched

    def autoencoder(self, network: Any) -> Any:
        if self.plan.tiled_decoding:
            network.enable_tiling()
            network.tile_sample_min_size = TILE
            network.tile_latent_min_size = TILE // 2 ** (len(network.config.block_out_channels) - 1)
        return self._laid_out(network).to(self.device)

    def text_encoder(self, network: Network) -> Network:
        if not self.plan.text_encoders_leave:
            return network.to(self.device)
        if not any(isinstance(hook, _Comes) for hook in network._forward_pre_hooks.values()):  # noqa: SLF001
            network.register_forward_pre_hook(_Comes(self.device))
            network.register_forward_hook(_leaves, always_call=True)
        return network.to(MAIN)

    def _laid_out(self, network: Any) -> Any:
        if devices.abilities(self.device).channels_last:
            network.to(memory_format=torch.channels_last)
        return network

    def _clone(self, network: Any) -> Any:
        shared = {id(weight): self._placed.get(weight, _alias(weight)) for weight in _weights(network)}
        return copy.deepcopy(network, shared)

    def _remember(self, network: Any, watched: Any) -> None:
        there = dict(watched.named_parameters()) | dict(watched.named_buffers())
        for name, weight in (*network.named_parameters(), *network.named_buffers()):
            if name in there:
                self._placed[weight] = there[name]


class _Turns:
    """Brings what a network lacks on the device before it computes, in place of what is another's alone."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last: Callable[[], torch.nn.Module | None] = lambda: None

    def __deepcopy__(self, memo: object) -> _Turns:
        return self  # variants take turns with what they were made of

    def __call__(self, network: torch.nn.Module, *_: Any) -> None:
        last = self._last()
        if last is network:
            return
        own = {id(weight) for weight in _weights(network)}
        for weight in _weights(last) if last is not None else ():
            if id(weight) not in own:
                weight.data = weight.data.to(MAIN)
        for weight in _weights(network):
            weight.data = weight.data.to(self._device)
        self._last = weakref.ref(network)


def _weights(network: torch.nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()


class _Comes:
    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, network: torch.nn.Module, *_: Any) -> None:
        network.to(self._device)


def _leaves(network: torch.nn.Module, *_: Any) -> None:
    network.to(MAIN)


@contextmanager
def visiting(network: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """Within it the network is on the device, and afterwards in main memory again."""
    network.to(device)
    try:
        yield
    finally:
        network.to(MAIN)


def _alias(weight: Tensor) -> Tensor:
    """The same numbers in a tensor of its own, which may move without them."""
    if isinstance(weight, torch.nn.Parameter):
        return torch.nn.Parameter(weight.detach(), requires_grad=False)
    return weight.detach()
