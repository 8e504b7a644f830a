"""Choice of a memory plan: bytes that a model takes with it, against those that the device has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from generator.memory.needs import Needs
from generator.memory.plan import (
    CPU_PIXELS,
    GPU_LATENTS,
    GPU_PIXELS,
    GRID_ROWS,
    PLAIN,
    TILE,
    MemoryPlan,
    Storage,
    quick_rows,
)
from storage.catalog_model import ModelEntry

GIB = 2**30
RESERVED = GIB // 2
"""Bytes of a GPU that the driver and torch's libraries take for themselves: of 8 GiB, 7.5 can be used."""
BESIDE = GIB // 4
"""Bytes for embeddings, latents of jobs that wait, and the networks' tables."""
SLACK = 1.1
"""Activations are laid into memory with gaps, and convolutions take some room of their own."""
STREAMED = GIB // 8
"""Bytes of the layers that are on the device at a time, where layers come and go."""
FULL = 4
"""Bytes of a number in full precision."""
WEIGHT_BYTES: dict[Storage, float] = {"fp8": 1.0, "int8": 1.0, "nf4": 0.5625}
"""Of a weight that is made smaller; NF4 has a scale of a half byte for eight weights."""


class Device(NamedTuple):
    """Bytes that Easel may take, in all, and of a number there."""

    usable: int
    number: int
    gpu: bool

    @classmethod
    def of(cls, total: int, number: int, *, gpu: bool) -> Device:
        return cls(total - RESERVED, number, gpu)


class Fit(NamedTuple):
    """A plan, and the bytes that it takes: of weights that stay, and in all at the worst moment."""

    plan: MemoryPlan
    weights: int
    peak: int
    usable: int

    @property
    def fits(self) -> bool:
        return self.peak <= self.usable

    @property
    def work(self) -> int:
        """Bytes at the worst moment beside the weights that stay."""
        return self.peak - self.weights

    def sentence(self) -> str:
        """One line for whoever runs it."""
        need = f"{self.peak / GIB:.1f} of {self.usable / GIB:.1f} GiB"
        measures = ", ".join(self.plan.measures())
        told = need if self.fits else f"does not fit: {need}"
        return f"{told} ({measures})" if measures else told


def chosen(entry: ModelEntry, needs: Needs, device: Device) -> Fit:
    """The plan by which the entry is drawn with; of what it leaves open, the least that fits.

    Where nothing fits it is the plan that takes least.
    """
    fit = partial(_fit, entry, needs, device)
    if entry.memory == "full":
        return fit(PLAIN)
    largest = max(_latents(entry, needs))
    if entry.memory == "low" or entry.memory == "offload":
        return fit(replace(_low(largest), group_offload=entry.memory == "offload"))
    storage: Storage = "own" if entry.memory == "auto" else entry.memory
    first = MemoryPlan(storage=storage, fused=storage == "own")
    steps = [fit(each) for each in _steps(first, largest, patched=needs.patched)]
    found = next((each for each in steps if each.fits), min(steps, key=lambda each: each.peak))
    return _relaxed(found, fit)


def _low(largest: int) -> MemoryPlan:
    return MemoryPlan(
        fused=False,
        companions_leave=True,
        text_encoders_leave=True,
        variants_leave=True,
        sliced_decoding=True,
        tiled_decoding=True,
        rows=GRID_ROWS // 2,
        largest=largest,
    )


def _steps(plan: MemoryPlan, largest: int, *, patched: bool) -> Iterator[MemoryPlan]:
    """Each takes less of the device than the one before, and more time."""
    yield plan
    yield (plan := replace(plan, fused=False))
    yield (plan := replace(plan, companions_leave=True))
    yield (plan := replace(plan, text_encoders_leave=True))
    yield (plan := replace(plan, variants_leave=patched))
    yield (plan := replace(plan, sliced_decoding=True))
    for rows in (GRID_ROWS, GRID_ROWS // 2):
        yield (plan := replace(plan, rows=rows, largest=largest))
    yield (plan := replace(plan, tiled_decoding=True))
    yield replace(plan, rows=GRID_ROWS // 4)
    if plan.storage == "own":  # layers that are stored in another form have been hooked already
        yield (plan := replace(plan, group_offload=True))
    for rows in (GRID_ROWS // 4, 1):
        yield replace(plan, rows=rows)


def _relaxed(found: Fit, fit: Callable[[MemoryPlan], Fit]) -> Fit:
    """Without those measures that later ones made needless."""
    for change in _UNDONE:
        if change.get("rows") and found.plan.rows is None:
            continue
        without = fit(replace(found.plan, **change))
        if without.fits:
            found = without
    return found


_UNDONE: tuple[dict[str, Any], ...] = (
    {"rows": None, "largest": 0},
    {"rows": GRID_ROWS},
    {"tiled_decoding": False},
    {"sliced_decoding": False},
    {"variants_leave": False},
    {"text_encoders_leave": False},
    {"companions_leave": False},
)


def _latents(entry: ModelEntry, needs: Needs) -> list[int]:
    """Latent pixels of each size."""
    return [width * height // needs.scale**2 for width, height in entry.sizes]


def _fit(entry: ModelEntry, needs: Needs, device: Device, plan: MemoryPlan) -> Fit:
    staying = _staying(needs, device, plan)
    moments = [
        _called(entry, needs, device, plan) * SLACK,
        _decoded(entry, needs, device, plan) * SLACK,
        max(needs.text_encoders, default=0) * device.number * plan.text_encoders_leave,
        max(needs.companions, default=0) * FULL * plan.companions_leave,
    ]
    return Fit(plan, round(staying), round(staying + max(moments) + BESIDE), device.usable)


def _staying(needs: Needs, device: Device, plan: MemoryPlan) -> float:
    """Bytes of the weights that are on the device all the time."""
    return (
        _denoiser(needs, device, plan)
        + needs.autoencoder * _precision(needs, device)
        + sum(needs.text_encoders) * device.number * (not plan.text_encoders_leave)
        + sum(needs.companions) * FULL * (not plan.companions_leave)
    )


def _denoiser(needs: Needs, device: Device, plan: MemoryPlan) -> float:
    denoiser = needs.denoiser
    if plan.group_offload:
        return STREAMED
    # A set of LoRAs may change every linear layer.
    patched = denoiser.linear * (needs.patched and not plan.variants_leave)
    small = 0 if plan.storage == "own" else denoiser.weights if plan.storage == "fp8" else denoiser.linear
    whole = denoiser.weights + patched - small + needs.steering + denoiser.fused * (plan.fused and device.gpu)
    return whole * device.number + small * WEIGHT_BYTES.get(plan.storage, 0)


def _called(entry: ModelEntry, needs: Needs, device: Device, plan: MemoryPlan) -> float:
    gpu_latents = GPU_LATENTS if device.gpu else None
    latents = max(quick_rows(each, gpu_latents) * each for each in _latents(entry, needs))
    if plan.call_latents is not None:
        latents = min(latents, plan.call_latents)
    return needs.denoiser.held * latents * device.number


def _decoded(entry: ModelEntry, needs: Needs, device: Device, plan: MemoryPlan) -> float:
    largest = max(width * height for width, height in entry.sizes)
    whole = largest if plan.one_at_a_time else max(largest, GPU_PIXELS if device.gpu else CPU_PIXELS)
    pixels = min(largest, TILE * TILE) if plan.tiled_decoding else whole
    # The picture itself, in three colours, twice: as it was put together, and on its way out.
    return (needs.decoded * pixels + 6 * largest) * _precision(needs, device)


def _precision(needs: Needs, device: Device) -> int:
    """Bytes of a number in the autoencoder."""
    return FULL if needs.upcast else device.number
