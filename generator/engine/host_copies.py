"""Copies from the processor's memory to a GPU that nobody waits for.

Some of diffusers' schedulers draw noise on the processor, or keep numbers there, and copy them to the GPU
within a step. From ordinary memory such a copy waits until the GPU has done all that came before it; from
pinned memory it takes its place behind that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from generator import devices


def unwaited(device: torch.device) -> AbstractContextManager[object]:
    """Within it, what torch copies to this GPU is not waited for; where copies cannot wait nothing is."""
    return UnwaitedCopies() if devices.abilities(device).pinned else nullcontext()


class UnwaitedCopies(TorchFunctionMode):
    """As its name says, for the thread that enters it."""

    def __init__(self, pin: Callable[[Tensor], Tensor] = Tensor.pin_memory) -> None:
        super().__init__()
        self._pin = pin

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        named = kwargs or {}
        if func is Tensor.to and args[0].device.type == "cpu" and any(map(_is_gpu, _asked(args, named))):
            # The memory stays the copy's own until it is made, though nothing here holds it any longer.
            return Tensor.to(self._pin(args[0]), *args[1:], **{**named, "non_blocking": True})
        return func(*args, **named)


def _asked(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Destination that `Tensor.to` may have been told: a device, or the device of another tensor."""
    return (named.get("device"), named.get("other"), *args[1:2])


def _is_gpu(place: Any) -> bool:
    if isinstance(place, Tensor):
        place = place.device
    if isinstance(place, str):
        place = torch.device(place)
    return isinstance(place, torch.device) and place.type != "cpu"
