"""A job's way from noise to latents that one model begins and another ends (SDXL's base and refiner)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from generator.families.base import Denoising


class Relay:
    """A `Denoising` of two, each by a scheduler of its own: nothing but the latents goes over."""

    def __init__(self, first: Denoising, last: Denoising) -> None:
        self._parts = first, last
        self.times: Sequence[float] = [*first.times, *last.times]
        self.order = first.order
        self.handover = len(first.times)
        """The first call of the second model."""

    def initial(self, noise: Tensor, source: Tensor | None) -> Tensor:
        denoising, _ = self._of(0)
        return denoising.initial(noise, source)

    def model_input(self, latents: Tensor, call: int) -> Tensor:
        denoising, own = self._of(call)
        return denoising.model_input(latents, own)

    def step(self, output: Tensor, latents: Tensor, call: int) -> Tensor:
        denoising, own = self._of(call)
        return denoising.step(output, latents, own)

    def estimate(self, model_input: Tensor, output: Tensor, call: int) -> Tensor:
        denoising, own = self._of(call)
        return denoising.estimate(model_input, output, own)

    def noised(self, clean: Tensor, noise: Tensor, call: int) -> Tensor:
        denoising, own = self._of(call)
        return denoising.noised(clean, noise, own)

    def _of(self, call: int) -> tuple[Denoising, int]:
        """The part that makes this call, and the call's number in it."""
        first, last = self._parts
        return (first, call) if call < self.handover else (last, call - self.handover)
