"""A model's networks as a request wants them: as they are, for pictures that tile, or with LoRAs."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch

from generator.families.loras import WeightedLora
from generator.families.sd import StableDiffusion
from storage.catalog import LoraEntry
from storage.contract import GenerationRequest, Lora
from storage.errors import CatalogError

log = logging.getLogger(__name__)

MOST = 4
"""Sets of LoRAs that are kept, if together they take no more than the model itself; one always is."""

Set = tuple[Lora, ...]


class Variants:
    """One model's. Those with LoRAs are made when they are first asked for; the longest unused one leaves.

    What still draws keeps its weights until its last job has ended. `prepare` is called once for each.
    """

    def __init__(
        self,
        family: StableDiffusion,
        loras: Mapping[str, LoraEntry],
        prepare: Callable[[StableDiffusion], None],
    ) -> None:
        self._plain = family
        self._loras = loras
        self._prepare = prepare
        self._sets: OrderedDict[Set, StableDiffusion] = OrderedDict()
        self._tiling: dict[Set, StableDiffusion] = {}
        self._lock = threading.Lock()

    def of(self, request: GenerationRequest) -> StableDiffusion:
        """The networks that draw this request.

        Raises:
            CatalogError: a LoRA is unknown or cannot be used.
        """
        key = tuple(sorted((lora for lora in request.loras if lora.weight), key=lambda lora: lora.name))
        if not key and not request.tile:
            return self._plain  # and waits for nobody who makes another
        with self._lock:
            family = self._with(key)
            return self._tiled(key, family) if request.tile else family

    @property
    def size_bytes(self) -> int:
        """What those with LoRAs take beside the model itself."""
        return sum(family.own_bytes(self._plain) for family in list(self._sets.values()))

    def forget(self) -> None:
        """Let all of them go."""
        with self._lock:
            self._sets.clear()
            self._tiling.clear()

    def _with(self, key: Set) -> StableDiffusion:
        if not key:
            return self._plain
        if key not in self._sets:
            self._sets[key] = self._made([WeightedLora(self._entry(lora.name), lora.weight) for lora in key])
            self._make_room()
        self._sets.move_to_end(key)
        return self._sets[key]

    def _made(self, loras: list[WeightedLora]) -> StableDiffusion:
        try:
            family = self._plain.with_loras(loras)
        except torch.OutOfMemoryError:
            log.warning("out of memory for LoRAs: every other set leaves")
            self._sets.clear()
            self._tiling.clear()
            family = self._plain.with_loras(loras)
        self._prepare(family)
        return family

    def _make_room(self) -> None:
        while len(self._sets) > 1 and (len(self._sets) > MOST or self.size_bytes > self._plain.size_bytes):
            gone, _ = self._sets.popitem(last=False)
            self._tiling.pop(gone, None)

    def _tiled(self, key: Set, family: StableDiffusion) -> StableDiffusion:
        if key not in self._tiling:
            self._tiling[key] = family.tiling()
            self._prepare(self._tiling[key])
        return self._tiling[key]

    def _entry(self, name: str) -> LoraEntry:
        if name not in self._loras:
            raise CatalogError(f"The model has no LoRA {name!r}.")
        return self._loras[name]
