"""The catalog's models on one device: loaded when they are first asked for, the longest unused one leaves."""

from __future__ import annotations

import copy
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal, Self, TypeVar

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
from generator.families.base import Family
from generator.memory.placement import MAIN
from generator.memory.plan import MemoryPlan
from generator.memory.plans import MemoryPlans
from generator.worker.faults import Faults, Key, draws_otherwise
from generator.worker.progress import PreviewPace
from storage.catalog import Catalog
from storage.catalog_companions import CompanionEntry
from storage.catalog_files import ModelFiles
from storage.catalog_model import ModelEntry
from storage.contract import Task
from storage.errors import CatalogError

log = logging.getLogger(__name__)

T = TypeVar("T")
C = TypeVar("C", bound=Companion)

EngineKey = tuple[str, int, str]
"""A model's name, how often its entry has changed, and the source of its networks."""


class Models:
    """All networks with which a worker draws. Any thread may ask; one thread of its own owns the device.

    The catalog may be replaced while jobs run (`renew`); who began before goes on with `as_of_now`.

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
        self._versions: dict[str, int] = {}
        self._faults = Faults()
        for name, entry in catalog.models.items():
            self._faults.look(self._key(name), entry)
        self._checker_sources: dict[str, str] = {}
        if self._safety == "on":
            self._checker_sources = {name: checker_source(catalog[name]) for name in self.names()}
        self.device = devices.choose(device)
        self._plans = MemoryPlans(self.device, memory_limit)
        self._memory_bytes = memory_bytes or self._plans.for_weights
        self._engines: OrderedDict[EngineKey, Engine] = OrderedDict()
        """By the source of its networks, too: a model may have others for inpainting."""
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
        """Models of the catalog but for those of which is known that they cannot be loaded."""
        return frozenset(self._catalog.models) - self.broken().keys()

    def broken(self) -> dict[str, str]:
        """Reason why a model cannot be loaded, by the names of those of which is known that they cannot."""
        reasons = {name: self._faults.reason(self._key(name)) for name in self._catalog.models}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def loaded(self) -> frozenset[str]:
        with self._lock:
            return frozenset(name for name, *_ in self._engines)

    def look_again(self) -> None:
        """Trust those again whose files have changed since they could not be loaded."""
        self._faults.look_again()

    def renew(self, catalog: Catalog) -> None:
        """Serve this catalog from now on.

        A model whose entry changed is loaded anew when it is next asked for, and one that is named no more
        leaves. What draws keeps its weights until its last job has ended.
        """
        before, now = self._catalog.models, catalog.models
        names = before.keys() | now.keys()
        changed = {name for name in names if draws_otherwise(before.get(name), now.get(name))}
        self._versions = {**self._versions, **{name: self._key(name)[1] + 1 for name in changed}}
        self._catalog = catalog
        self._find_checkers(changed)
        for name in changed & now.keys():
            self._faults.look(self._key(name), now[name])
        with self._lock:
            # Jobs that went on with an older entry may have loaded it once more.
            for key in [key for key in self._engines if key[:2] != self._key(key[0])]:
                del self._engines[key]
                log.info("%s leaves %s: its entry in the catalog changed", key[0], self.device)
        self._forget_companions()

    def _find_checkers(self, changed: Collection[str]) -> None:
        found = {name: source for name, source in self._checker_sources.items() if name not in changed}
        for name, entry in self._catalog.models.items() if self._safety == "on" else ():
            if name in changed:
                with suppress(CatalogError), self._noting_faults(entry):
                    found[name] = checker_source(entry)
        self._checker_sources = found

    def _forget_companions(self) -> None:
        """Let go of companions that no model names any more."""
        named = set(self._checker_sources.values())
        for entry in self._catalog.models.values():
            beside = (entry.upscaler, *entry.upscalers.values(), entry.describer, entry.segmenter)
            named |= {companion.source for companion in beside if companion is not None}
        with self._loading:
            for key in [key for key in self._companions if key[1] not in named]:
                del self._companions[key]

    def as_of_now(self) -> Self:
        """The same models by the catalog of now, for a job that goes on with it when it is replaced."""
        return copy.copy(self)

    def _key(self, name: str) -> Key:
        return name, self._versions.get(name, 0)

    def engine(self, name: str, task: Task = Task.TEXT_TO_IMAGE) -> Engine:
        """The model, loaded if it is not yet; the one that was longest unused makes room for it.

        For inpainting it is the checkpoint that the catalog names for that, if it does.

        Raises:
            CatalogError: the catalog has no such model, or it cannot be loaded.
        """
        entry = self._entry(name)
        files = entry.files_for(task)
        key = (*self._key(name), files.source)
        engine = self._known(key)
        if engine is None:
            with self._loading, self._noting_faults(entry):
                engine = self._known(key) or self._load(entry, files)
        return engine

    @contextmanager
    def _noting_faults(self, entry: ModelEntry) -> Iterator[None]:
        """Remember why a model could not be loaded."""
        try:
            yield
        except CatalogError as error:
            self._faults.note(self._key(entry.name), entry, error)
            raise

    def safety(self, name: str) -> SafetyCheck:
        """The check that every picture of this model goes through.

        Raises:
            CatalogError: the checker cannot be loaded.
        """
        entry = self._entry(name)
        if self._safety == "off":
            return NoCheck()
        with self._noting_faults(entry):
            source = self._checker_sources.get(name) or checker_source(entry)
            return self._companion(CheckerFolder, source)

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

    def _known(self, key: EngineKey) -> Engine | None:
        with self._lock:
            engine = self._engines.get(key)
            if engine is not None:
                self._engines.move_to_end(key)
            return engine

    def _load(self, entry: ModelEntry, files: ModelFiles) -> Engine:
        source = files.source
        log.info("loading %s from %s onto %s", entry.name, source, self.device)
        plan = self._plans.of(entry).plan
        family = self._fitted(lambda: loading.complete(loading.load(files, self.device, plan), entry))
        if source == entry.inpainting and not family.reads_mask:
            raise CatalogError(
                f"The model at {source} was not made for inpainting: its UNet reads no mask. Leave"
                f" `inpainting` of {entry.name!r} out: its own draws regions, zooms and pans as well."
            )
        refiner = self._refiner(entry, plan) if source == entry.source else None
        self._make_room(family.size_bytes + (refiner.size_bytes if refiner else 0))
        engine = Engine(family, self.device_thread, entry, refiner=refiner, compiler=self._compiler)
        with self._lock:
            self._engines[*self._key(entry.name), source] = engine
        self._faults.forget(self._key(entry.name))
        return engine

    def _refiner(self, entry: ModelEntry, plan: MemoryPlan) -> Family | None:
        source = entry.refiner
        if source is None:
            return None
        return self._fitted(lambda: loading.load_refiner(source, self.device, plan))

    def _named_beside(self, name: str, kind: str) -> str:
        """The source of what a model's entry names beside it."""
        named: CompanionEntry | None = getattr(self._entry(name), kind)
        if named is None:
            raise CatalogError(f"Model {name!r} has no {kind}: name one in its catalog entry.")
        return named.source

    def _companion(self, kind: type[C], source: str) -> C:
        """The companion at a source, loaded once for all models that name it."""
        key = kind, source
        found = self._companions.get(key)
        if found is None:
            with self._loading:
                found = self._companions.get(key)
                if found is None:
                    found = self._fitted(lambda: self._loaded(kind, source))
                    self.device_thread.meter.loaded(found, found.size_bytes)
                    self._companions[key] = found
        assert isinstance(found, kind)
        return found

    def _loaded(self, kind: type[C], source: str) -> C:
        """A companion on the device, or beside it where the plan of any model wants that."""
        if not any(self._plans.of(entry).plan.companions_leave for entry in self._catalog.models.values()):
            return kind.load(source, self.device, self.device_thread.call)
        return kind.load(source, MAIN, self.device_thread.call).leaving(self.device)

    def _fitted(self, load: Callable[[], T]) -> T:
        """Call `load`; every other model leaves the device if it has no memory for both."""
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
                idle = [key for key, engine in self._engines.items() if not engine.busy]
                key = next(iter(idle or self._engines))
                del self._engines[key]
                name, _, source = key
                log.info("%s from %s leaves %s", name, source, self.device)
        devices.release_unused(self.device)
