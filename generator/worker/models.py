"""The catalog's models on one device: loaded when they are first asked for, the longest unused one leaves."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import diffusers
import torch
import transformers

from generator import devices
from generator.companions.describe import Describer
from generator.companions.safety import CheckerFolder, NoCheck, SafetyCheck, checker_source
from generator.companions.segment import Segmenter
from generator.companions.shorten import Shortener
from generator.companions.upscale import Upscaler
from generator.compiling.compiler import Compiler
from generator.engine.device_thread import DeviceThread
from generator.engine.engine import Engine
from generator.families import loading
from generator.families.auxiliary import Companion
from generator.memory.placement import MAIN
from generator.memory.plans import MemoryPlans
from generator.worker.progress import PreviewPace
from storage.catalog import Catalog
from storage.catalog_companions import CompanionEntry
from storage.catalog_model import ModelEntry
from storage.errors import CatalogError

log = logging.getLogger(__name__)

T = TypeVar("T")
C = TypeVar("C", bound=Companion)


class Models:
    """All networks with which a worker draws. Any thread may ask; one thread of its own owns the device.

    With `compiled_dir` the networks on a GPU are compiled, and what the compiler makes is kept there. Of the
    device's memory they take `memory_limit` (GiB) at the most, and all of it where that is None.

    Raises:
        CatalogError: there is no such device, or `safety` is on and a model has no checker: then nothing is
            drawn at all.
    """

    def __init__(
        self,
        catalog: Catalog,
        device: str = "auto",
        safety: str = "on",
        *,
        memory_bytes: int | None = None,
        memory_limit: float | None = None,
        compiled_dir: Path | None = None,
    ) -> None:
        self._catalog = catalog
        self._safety: Literal["on", "off"] = "off" if safety == "off" else "on"
        self._checker_sources = {}
        if self._safety == "on":
            self._checker_sources = {name: checker_source(entry) for name, entry in catalog.models.items()}
        self.device = devices.choose(device)
        self._plans = MemoryPlans(self.device, memory_limit)
        self._memory_bytes = memory_bytes or self._plans.for_weights
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._companions: dict[tuple[type[Companion], str], Companion] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        # A bar for every file would cover the worker's own lines.
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        self.device_thread = DeviceThread(self.device)
        self.previews = PreviewPace()
        self._compiler = Compiler(compiled_dir) if compiled_dir else None

    def names(self) -> frozenset[str]:
        return frozenset(self._catalog.models)

    def loaded(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._engines)

    def engine(self, name: str) -> Engine:
        """The model, loaded if it is not yet; the one that was longest unused makes room for it.

        Raises:
            CatalogError: the catalog has no such model, or it cannot be loaded.
        """
        entry = self._entry(name)
        engine = self._known(name)
        if engine is None:
            with self._loading:
                engine = self._known(name) or self._load(entry)
        return engine

    def safety(self, name: str) -> SafetyCheck:
        """The check that every picture of this model goes through.

        Raises:
            CatalogError: the checker cannot be loaded.
        """
        self._entry(name)
        if self._safety == "off":
            return NoCheck()
        return self._companion(CheckerFolder, self._checker_sources[name])

    def preview_check(self, name: str) -> SafetyCheck:
        """Safety check of previews; its device time is reported to `previews`.

        Raises:
            CatalogError: the checker cannot be loaded.
        """
        check = self.safety(name)
        if isinstance(check, Companion):
            return check.reached(partial(self.device_thread.call, tell=self.previews.took))
        return check

    def upscaler(self, name: str, chosen: str | None = None) -> Upscaler:
        """Upscaler of this model's pictures: the one that is `chosen`, or its default.

        Raises:
            CatalogError: the catalog names none for it, or it cannot be loaded.
        """
        default = self._named_beside(name, "upscaler")
        named = self._entry(name).upscaler_named(chosen)
        return self._companion(Upscaler, named.source if named else default)

    def describer(self, name: str) -> Describer:
        """Describer that finds prompts for pictures which this model is to draw.

        Raises:
            CatalogError: the catalog names none for it, or it cannot be loaded.
        """
        return self._companion(Describer, self._named_beside(name, "describer"))

    def segmenter(self, name: str) -> Segmenter:
        """Segmenter that finds in this model's pictures what words name.

        Raises:
            CatalogError: the catalog names none for it, or it cannot be loaded.
        """
        return self._companion(Segmenter, self._named_beside(name, "segmenter"))

    def shortener(self, name: str) -> Shortener:
        """Shortener that weighs the words of prompts for this model.

        Raises:
            CatalogError: the catalog has no such model, or it cannot be loaded.
        """
        return Shortener(self.engine(name).family, self.device_thread.call, self._entry(name).knows)

    def close(self) -> None:
        """Stop the device's thread; jobs that have not finished are cancelled."""
        self.device_thread.close()
        with self._lock:
            self._engines.clear()

    def _entry(self, name: str) -> ModelEntry:
        if name not in self._catalog.models:
            raise CatalogError(f"The catalog has no model {name!r}.")
        return self._catalog[name]

    def _known(self, name: str) -> Engine | None:
        with self._lock:
            engine = self._engines.get(name)
            if engine is not None:
                self._engines.move_to_end(name)
            return engine

    def _load(self, entry: ModelEntry) -> Engine:
        log.info("loading %s from %s onto %s", entry.name, entry.source, self.device)
        fit = self._plans.of(entry)
        family = self._fitted(lambda: loading.load(entry.source, self.device, entry.family, fit.plan))
        self._make_room(family.size_bytes)
        engine = Engine(family, self.device_thread, entry, compiler=self._compiler)
        with self._lock:
            self._engines[entry.name] = engine
        return engine

    def _named_beside(self, name: str, kind: str) -> str:
        """The source of what a model's entry names beside it."""
        named: CompanionEntry | None = getattr(self._entry(name), kind)
        if named is None:
            raise CatalogError(f"Model {name!r} has no {kind}: name one in its catalog entry.")
        return named.source

    def _companion(self, kind: type[C], source: str) -> C:
        """What is at the source, loaded once for all models that name it."""
        key = kind, source
        if key not in self._companions:
            with self._loading:
                if key not in self._companions:
                    loaded = self._fitted(lambda: self._loaded(kind, source))
                    self.device_thread.meter.loaded(loaded, loaded.size_bytes)
                    self._companions[key] = loaded
        found = self._companions[key]
        assert isinstance(found, kind)
        return found

    def _loaded(self, kind: type[C], source: str) -> C:
        """A companion on the device, or beside it where the plan of any model wants that."""
        if not any(self._plans.of(entry).plan.companions_leave for entry in self._catalog.models.values()):
            return kind.load(source, self.device, self.device_thread.call)
        return kind.load(source, MAIN, self.device_thread.call).leaving(self.device)

    def _fitted(self, load: Callable[[], T]) -> T:
        """What `load` brings to the device, where everybody else leaves if it has no memory for both."""
        try:
            return load()
        except torch.OutOfMemoryError:
            log.warning("out of memory on %s while loading: every other model leaves", self.device)
        self._make_room(self._memory_bytes)
        return load()

    def _make_room(self, size_bytes: int) -> None:
        """Let models go until `size_bytes` fit, those without jobs first.

        What still draws keeps its weights until its last job has ended. Companions count but stay: every
        model's pictures need some of them.
        """
        with self._lock:
            beside = sum(companion.size_bytes for companion in self._companions.values())
            while self._engines:
                taken = beside + sum(engine.size_bytes for engine in self._engines.values())
                if taken + size_bytes <= self._memory_bytes:
                    break
                varied = [engine for engine in self._engines.values() if engine.has_variants]
                if varied:
                    varied[0].forget_variants()
                    continue
                idle = [name for name, engine in self._engines.items() if not engine.busy]
                name = next(iter(idle or self._engines))
                del self._engines[name]
                log.info("%s leaves %s", name, self.device)
        devices.release_unused(self.device)
