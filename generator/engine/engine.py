"""Continuous-batching image engine: one model on one device, one running batch for everybody who asks.

    with Engine.open("path/to/a/diffusers/folder", device="cpu") as engine:
        images = engine.submit(request).result()

Jobs of one model and size share calls, whatever their steps, guidance, sampler and seed; each picture is what
diffusers' own pipeline would draw alone. `device_thread.py` has the loop, `batch_group.py` the shared call,
`running_job.py` one job's part of it, `decoding.py` its end, `families/` the networks and `compiling/` what a
GPU calls in their place. Of a model it knows the protocol `families/base.py` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Self

import PIL.Image
import torch

from generator import devices
from generator.compiling.calls import CompiledCall, first_right, record_graph
from generator.compiling.compiler import Compiler, users_folder
from generator.conditioning.prompt_embeds import ModelPhrases
from generator.engine.device_thread import DeviceThread, EngineClosed
from generator.engine.patched_models import PatchedModel, PatchedModels
from generator.engine.running_job import NOTHING, DrawRequest, Images, Progress, RequestImages, RunningJob
from generator.families import loading
from generator.families.base import Family
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Role
from storage.errors import CatalogError, SamplerUnavailable

__all__ = ["Engine", "EngineClosed", "Progress"]


class Engine:
    """One loaded model on one device. Any thread may call it."""

    def __init__(
        self,
        family: Family,
        device_thread: DeviceThread,
        entry: ModelEntry | None = None,
        *,
        refiner: Family | None = None,
        compiler: Compiler | None = None,
    ) -> None:
        """With a `compiler` its networks are compiled, on a GPU, beside the first jobs.

        A `refiner` ends the pictures that ask for it.
        """
        self.family = family
        self.device_thread = device_thread
        device_thread.meter.loaded(family, family.size_bytes)
        able = devices.abilities(family.device).compiled and not family.plan.hooked
        self._compiler = compiler if able else None
        self._compile(family)
        self._variants = PatchedModels(family, entry, self._compile)
        self._refiners: PatchedModels | None = None
        if refiner is not None:
            device_thread.meter.loaded(refiner, refiner.size_bytes)
            self._compile(refiner)
            self._refiners = PatchedModels(refiner, None, self._compile)
        self._lexicon = ModelPhrases.of(entry) if entry else ModelPhrases()
        self._unfinished: set[Future[Images]] = set()

    @classmethod
    def open(
        cls, source: str, *, device: str = "auto", entry: ModelEntry | None = None, compiled: bool = True
    ) -> Self:
        """Load a diffusers folder, a `.safetensors` file or a Hugging Face id onto a device of its own.

        On a GPU its networks are compiled beside the first jobs, if `compiled`, and kept for the next time.

        Raises:
            CatalogError: it cannot be loaded, or there is no such device.
        """
        chosen = devices.choose(device)
        files = entry.changed(source=source) if entry else source
        family = loading.load(files, chosen)
        if entry is not None:
            family = loading.complete(family, entry)
        refiner = loading.load_refiner(entry.refiner, chosen) if entry and entry.refiner else None
        compiler = Compiler(users_folder()) if compiled else None
        return cls(family, DeviceThread(chosen), entry, refiner=refiner, compiler=compiler)

    def submit(
        self,
        request: GenerationRequest,
        *,
        image: PIL.Image.Image | None = None,
        mask: PIL.Image.Image | None = None,
        control: PIL.Image.Image | None = None,
        references: Mapping[Role, Sequence[PIL.Image.Image]] = NOTHING,
        on_progress: Callable[[Progress], None] | None = None,
        alone: bool = False,
    ) -> Future[Images]:
        """Draw the request's pictures.

        `image` is what image-to-image and inpainting start from, and inpainting draws it anew where `mask` is
        white. `control` is the picture that leads, and `references` are those of its roles.

        The future's `cancel()` works until the pictures are there and takes effect at the next tick; what
        goes wrong with the request or on the way is the future's exception. `on_progress` is called after
        every call of the model, on a thread beside the device's that all callbacks share. With `alone` the
        job shares a call with nobody.
        """
        given = RequestImages(image, mask, control, references)
        job = DrawRequest(request, given, self._lexicon, on_progress, alone)
        self._unfinished.add(job.future)
        job.future.add_done_callback(self._unfinished.discard)
        try:
            rows = RunningJob(self._variant(request), job, self._refiner_of(request))
        except (ValueError, CatalogError, SamplerUnavailable, EngineClosed, torch.OutOfMemoryError) as error:
            job.fail(error)
        else:
            self.device_thread.admit(rows)
        return job.future

    def _refiner_of(self, request: GenerationRequest) -> Family | None:
        if self._refiners is None or not request.is_refined:
            return None
        return self._refiners.made(PatchedModel(tile=request.tile))

    def _variant(self, request: GenerationRequest) -> Family:
        """The networks that draw it; where weights come and go they are made between two ticks, at rest."""
        make = partial(self._variants.of, request)
        return self.device_thread.call(make) if self.family.plan.moves else make()

    def _compile(self, family: Family) -> None:
        """Compile what a variant does not share with its model, which is compiled already."""
        compiler = self._compiler
        if compiler is None:
            return

        def compiled(part: Any) -> CompiledCall:
            if isinstance(part, CompiledCall):
                return part
            record = partial(record_graph, part, self.device_thread.call)
            return CompiledCall(part, partial(first_right, compiler.ways(part), record))

        family.replace_networks(compiled)

    @property
    def size_bytes(self) -> int:
        """Bytes that its weights take on the device, with those of the variants that it keeps."""
        refiner = self._refiners
        beside = 0 if refiner is None else refiner.plain_bytes + refiner.size_bytes
        return self.family.size_bytes + self._variants.size_bytes + beside

    @property
    def has_variants(self) -> bool:
        return self._variants.size_bytes > 0

    def forget_variants(self) -> None:
        """Let the weights of LoRAs, adapters and controls go, until they are asked for again."""
        self._variants.forget()

    @property
    def busy(self) -> bool:
        """True while any job submitted here has not ended."""
        return bool(self._unfinished)

    def close(self) -> None:
        """Stop the device's thread; jobs that have not finished are cancelled."""
        self.device_thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
