"""A model's networks as a request wants them: as they are, with LoRAs, adapters or a control, tiling."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import torch

from generator.families.base import Family, WeightedLora
from storage.catalog_companions import AdapterEntry, ControlEntry
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Lora, Role
from storage.errors import CatalogError

log = logging.getLogger(__name__)

MOST = 8
"""Variants that are kept, if together they take no more than the model itself; the last ones always are."""


class PatchedModel(NamedTuple):
    """Changes to a model's networks."""

    loras: tuple[Lora, ...] = ()
    roles: tuple[Role, ...] = ()
    control: str | None = None
    tile: bool = False

    @classmethod
    def of(cls, request: GenerationRequest) -> PatchedModel:
        return cls(
            loras=tuple(sorted((lora for lora in request.loras if lora.weight), key=lambda lora: lora.name)),
            roles=tuple(sorted(reference.role for reference in request.references)),
            control=None if request.control is None else request.control.kind,
            tile=request.tile,
        )

    @property
    def before(self) -> PatchedModel:
        """The variant of which this one is made by one step more, and whose weights it shares."""
        if self.tile:
            return self._replace(tile=False)
        if self.control is not None:
            return self._replace(control=None)
        return self._replace(roles=()) if self.roles else PLAIN

    def line(self) -> list[PatchedModel]:
        """It, and all that came before it but the plain model."""
        return [] if self == PLAIN else [self, *self.before.line()]


PLAIN = PatchedModel()


class PatchedModels:
    """One model's. Each is made when it is first asked for; the longest unused ones leave.

    What still draws keeps its weights until its last job has ended. `prepare` is called once for each.
    """

    def __init__(
        self,
        family: Family,
        entry: ModelEntry | None,
        prepare: Callable[[Family], object],
    ) -> None:
        self._plain = family
        self._entry = entry
        self._prepare = prepare
        self._made: OrderedDict[PatchedModel, Family] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, request: GenerationRequest) -> Family:
        """The networks that draw this request.

        Raises:
            CatalogError: a LoRA, an adapter or a control is unknown or cannot be used.
        """
        return self.made(PatchedModel.of(request))

    def made(self, wanted: PatchedModel) -> Family:
        """The same for whoever knows what is changed about them."""
        if wanted == PLAIN:
            return self._plain  # and waits for nobody who makes another
        with self._lock:
            with suppress(torch.OutOfMemoryError):
                return self._ready(wanted)
            log.warning("out of memory for a variant of the model: every other leaves")
            self._made.clear()
            return self._ready(wanted)

    @property
    def plain_bytes(self) -> int:
        """Bytes that the model itself takes."""
        return self._plain.size_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes that they take beside the model itself."""
        known = {id(weight) for module in self._plain.modules for weight in module.parameters()}
        own = {
            id(weight): weight.numel() * weight.element_size()
            for family in list(self._made.values())
            for module in family.modules
            for weight in module.parameters()
            if id(weight) not in known
        }
        return sum(own.values())

    def forget(self) -> None:
        """Let all of them go."""
        with self._lock:
            self._made.clear()

    def _ready(self, wanted: PatchedModel) -> Family:
        family, line = self._of(wanted), wanted.line()
        for variant in line:
            self._made.move_to_end(variant)
        others = [variant for variant in self._made if variant not in line]
        while others and (len(self._made) > MOST or self.size_bytes > self._plain.size_bytes):
            del self._made[others.pop(0)]
        return family

    def _of(self, wanted: PatchedModel) -> Family:
        if wanted == PLAIN:
            return self._plain
        if wanted not in self._made:
            made = self._changed(self._of(wanted.before), wanted)
            self._prepare(made)
            self._made[wanted] = made
        return self._made[wanted]

    def _changed(self, before: Family, wanted: PatchedModel) -> Family:
        """The last step to what is wanted."""
        if wanted.tile:
            return before.tiling()
        if wanted.control is not None:
            return before.with_control(self._control(wanted.control))
        if wanted.roles:
            return before.with_adapters({role: self._adapter(role) for role in wanted.roles})
        return before.with_loras([self._lora(lora) for lora in wanted.loras])

    def _lora(self, lora: Lora) -> WeightedLora:
        if self._entry is None or lora.name not in self._entry.loras:
            raise CatalogError(f"The model has no LoRA {lora.name!r}.")
        return WeightedLora(self._entry.loras[lora.name], lora.weight)

    def _adapter(self, role: Role) -> AdapterEntry:
        if self._entry is None or role not in self._entry.adapters:
            raise CatalogError(f"The model has no image adapter for {role.value!r}.")
        return self._entry.adapters[role]

    def _control(self, kind: str) -> ControlEntry:
        if self._entry is None or kind not in self._entry.controls:
            raise CatalogError(f"The model has no control {kind!r}.")
        return self._entry.controls[kind]
