"""The memory plans of a catalog's models on one device."""

from __future__ import annotations

import logging

import torch

from generator import devices
from generator.memory import fits, needs, quantization
from generator.memory.fits import GIB, Device, Fit
from generator.memory.plan import PLAIN
from storage.catalog_model import ModelEntry

log = logging.getLogger(__name__)

GPU_SHARE = 0.7
MACHINE_SHARE = 0.5
"""Part of the memory that weights may take; the rest is for what is computed with them."""


class MemoryPlans:
    """Each model's is found once; any thread may ask."""

    def __init__(self, device: torch.device, limit: float | None = None) -> None:
        """`limit` is the GiB that may be taken of the device; on a GPU torch keeps to it."""
        total = devices.total_bytes(device)
        if limit is not None and limit * GIB < total:
            total = int(limit * GIB)
            devices.limit(device, total)
        self._device = Device.of(total, devices.dtype(device).itemsize, gpu=devices.is_gpu(device))
        self._found: dict[str, Fit] = {}
        self.for_weights = int(total * (GPU_SHARE if devices.is_gpu(device) else MACHINE_SHARE))
        """Bytes that the weights of all models may take together."""

    def of(self, entry: ModelEntry) -> Fit:
        """Raises:
        CatalogError: what its plan needs is not installed.
        """
        if entry.name not in self._found:
            self._found[entry.name] = self._of(entry)
        return self._found[entry.name]

    def _of(self, entry: ModelEntry) -> Fit:
        wanted = needs.of_entry(entry)
        if wanted is None:
            return Fit(PLAIN, 0, 0, self._device.usable)
        fit = fits.chosen(entry, wanted, self._device)
        quantization.check(fit.plan.storage)
        if not fit.fits or fit.plan != PLAIN:
            log.log(logging.INFO if fit.fits else logging.WARNING, "%s: %s", entry.name, fit.sentence())
        return fit
