"""Devices by torch's accelerator API: the choice of one, and what each kind can do.

Nothing else in `generator/` asks of which kind a device is: it asks here for an ability, and does without
where there is none. (`generator/compiling/` is for CUDA alone, and calls its tools by their names.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import psutil
import torch
from torch.profiler import ProfilerActivity, supported_activities

from storage.errors import CatalogError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

BFLOAT16_SINCE = (8, 0)
"""NVIDIA's compute capability from which bfloat16 is the hardware's own; ROCm's numbers are all above it."""


class Abilities(NamedTuple):
    """Abilities of torch on one kind of device."""

    half: bool
    """Networks are drawn with in float16."""
    events: bool
    """The device itself says what its work took, and how far it is."""
    pinned: bool
    """Copies from pinned memory take their place behind earlier work, and nobody waits for them."""
    streams: bool
    """Weights can be copied to it while it computes."""
    channels_last: bool
    """Convolutions are quicker on tensors whose channels lie together."""
    compiled: bool
    """Easel's compiled networks run on it (`generator/compiling/`)."""


_KINDS = {
    "cpu": Abilities(*[False] * 6),
    "cuda": Abilities(*[True] * 6),
    "xpu": Abilities(half=True, events=True, pinned=True, streams=True, channels_last=True, compiled=False),
}
_OTHER = Abilities(half=True, events=False, pinned=False, streams=False, channels_last=False, compiled=False)
"""Of Apple's GPU, and of an accelerator that nobody tried: half precision, and nothing more."""


def choose(name: str) -> torch.device:
    """`auto` is the accelerator that torch sees (CUDA's or ROCm's GPU, Apple's, Intel's), else the CPU.

    Raises:
        CatalogError: the machine has no such device.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CatalogError(f"EASEL_DEVICE={name} cannot be used here: {reason}") from None
    return device


def abilities(device: torch.device) -> Abilities:
    found = _KINDS.get(device.type, _OTHER)
    if torch.version.hip is not None or sys.platform != "linux":
        return found._replace(compiled=False)  # it takes CUDA's headers, and Linux's way to find its driver
    return found


def has_gpu() -> bool:
    """True if torch sees any accelerator."""
    return torch.accelerator.is_available()


def built_for_cuda() -> str | None:
    """CUDA's version that torch was built for, if any."""
    return torch.version.cuda


def is_gpu(device: torch.device) -> bool:
    """True for every device but the processor itself."""
    return device.type != "cpu"


def dtype(device: torch.device) -> torch.dtype:
    """Full precision on a CPU; on a GPU the half precision whose numbers are finer."""
    return torch.float16 if abilities(device).half else torch.float32


def wider_dtype(device: torch.device) -> torch.dtype:
    """For a model whose numbers grow beyond float16's 65,504."""
    return torch.bfloat16 if _computes_bfloat16(device) else torch.float32


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= BFLOAT16_SINCE
    if device.type == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    return device.type == "xpu"


def claim(device: torch.device) -> None:
    """Make it the calling thread's own."""
    if is_gpu(device):
        torch.accelerator.set_device_index(device)


def synchronize(device: torch.device) -> None:
    """Wait until it has done all its work."""
    if is_gpu(device):
        torch.accelerator.synchronize(device)


def release_unused(device: torch.device) -> None:
    """Give the device back what torch keeps of its memory for later."""
    if is_gpu(device):
        torch.accelerator.empty_cache()


def total_bytes(device: torch.device) -> int:
    """Memory of the device: a GPU's own, or the machine's."""
    if not is_gpu(device):
        return int(psutil.virtual_memory().total)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    return torch.accelerator.get_memory_info(device)[1]


def taken_and_peak(device: torch.device) -> tuple[int, int]:
    """Bytes that torch has allocated on a GPU, or this process has resident, now and at the most.

    Apple's GPU and Windows tell no peak.
    """
    if not is_gpu(device):
        resident = int(psutil.Process().memory_info().rss)
        return resident, max(resident, _peak_resident())
    if device.type == "mps":
        taken = int(torch.mps.current_allocated_memory())
        return taken, taken
    return torch.accelerator.memory_allocated(device), torch.accelerator.max_memory_allocated(device)


def _peak_resident() -> int:
    if resource is None:
        return 0
    # macOS gives bytes where everybody else gives kibibytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def random_state_kept(device: torch.device) -> AbstractContextManager[None]:
    """Within it torch's random sources, the processor's and the device's, may be set at will."""
    return torch.random.fork_rng([device] if is_gpu(device) else [], device_type=device.type)


def limit(device: torch.device, size_bytes: int) -> None:
    """Let this process have no more of a GPU's memory; beyond it torch raises `OutOfMemoryError`."""
    module = torch.get_device_module(device)
    if is_gpu(device) and hasattr(module, "set_per_process_memory_fraction"):
        share = min(1.0, size_bytes / total_bytes(device))
        arguments = () if device.type == "mps" else (device,)
        module.set_per_process_memory_fraction(share, *arguments)


def name(device: torch.device) -> str:
    """The hardware's own."""
    if device.type in ("cuda", "xpu"):
        found: str = torch.get_device_module(device).get_device_name(device)
        return found
    return {"cpu": "CPU", "mps": "Apple GPU"}.get(device.type, device.type)


def profiled(device: torch.device) -> list[ProfilerActivity]:
    """Activities that torch's profiler can tell of, for work on it."""
    both = supported_activities()  # type: ignore[no-untyped-call]
    return [each for each in both if each == ProfilerActivity.CPU or is_gpu(device)]


def lacks(device: torch.device) -> Iterator[str]:
    """Sentences for whoever runs it, on what is left out here."""
    if not is_gpu(device):
        return
    can = abilities(device)
    if not can.compiled:
        yield "networks are not compiled on this kind of device"
    if not can.events:
        yield "how long the device takes is measured by waiting for it"
    if not can.streams:
        yield "group offload cannot copy weights while it computes"
    if wider_dtype(device) is torch.float32:
        yield "a model that overflows in float16 is drawn with in float32, which takes twice the memory"
