"""Memory that is given back: while a call that failed is tried again, and after models have come and gone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from generator import devices
from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text
from generator.engine.batch_group import BatchGroup
from generator.engine.clock import HostClock
from generator.engine.meter import Meter
from generator.engine.patched_models import PLAIN, PatchedModel, PatchedModels
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from generator.worker.models import Models
from storage import catalog
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Lora
from tests.generator import tiny

CPU = torch.device("cpu")


class Full:
    """Runs out of memory a few times with tensors in its frame, and then says whether they are gone."""

    def __init__(self, times: int) -> None:
        self._times = times
        self._held: list[weakref.ref[Tensor]] = []
        self.found_free: list[bool] = []

    def __call__(self) -> None:
        self.found_free.append(all(held() is None for held in self._held))
        if len(self._held) < self._times:
            activations = torch.zeros(1000)
            self._held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError(f"no room beside {activations.numel()} numbers")


def joined(folder: Path, count: int, full: Callable[[int], None], **fields: Any) -> BatchGroup:
    """A group of so many jobs whose network asks `full` first, told the rows of the call."""
    family = loading.load(str(folder), CPU)
    predict = family.predict

    def asks(latents: Tensor, *more: Any) -> Tensor:
        full(len(latents))
        return predict(latents, *more)

    family.predict = asks  # type: ignore[assignment,method-assign]
    group = BatchGroup(family, 64, 0.0, HostClock(CPU), Meter(CPU))
    for seed in range(count):
        request = GenerationRequest(prompt="a fox", width=64, height=64, seed=seed, num_inference_steps=2)
        rows = RunningJob(family, DrawRequest(request))
        rows.start()
        group.join(rows)
    return group


@torch.inference_mode()
def test_fewer_rows_are_tried_once_the_failed_call_holds_nothing(
    sd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Full(2)
    free_when_released = []
    held = full._held
    monkeypatch.setattr(
        devices,
        "release_unused",
        lambda _: free_when_released.append(all(each() is None for each in held)),
    )
    group = joined(sd_folder, 1, lambda _: full())
    (advanced,) = group.tick()
    assert advanced.calls_done == 1
    assert full.found_free == [True] * len(full.found_free)
    assert free_when_released == [True, True], "only what nothing holds can be given back"


@torch.inference_mode()
def test_jobs_are_tried_alone_once_their_common_call_holds_nothing(sd_folder: Path) -> None:
    full = Full(1)

    def breaks(rows: int) -> None:
        try:
            full()
        except torch.OutOfMemoryError as error:
            raise ArithmeticError(rows) from error

    group = joined(sd_folder, 2, breaks)
    assert len(group.tick()) == 2
    assert full.found_free == [True] * 3


def test_prompts_are_encoded_again_once_the_failed_call_holds_nothing() -> None:
    full = Full(1)

    def encode(texts: Sequence[Text]) -> list[Embedding]:
        full()
        return [Embedding(torch.zeros(1, 1, 1)) for _ in texts]

    cache = PromptCache(encode, at_once=4)
    cache.prepare(["mine"], later=["somebody else's"])
    assert full.found_free == [True, True]
    assert cache["mine"].length == 1


def test_a_variant_is_made_again_once_the_failed_one_holds_nothing(sd_folder: Path, tmp_path: Path) -> None:
    full = Full(1)
    lora = tiny.make_lora(tmp_path / "ink.safetensors", sd_folder)
    entry = ModelEntry(
        name="m", title="M", source=str(sd_folder), sizes=((64, 64),), loras={"ink": {"source": str(lora)}}
    )
    variants = PatchedModels(loading.load(str(sd_folder), CPU), entry, lambda _: full())
    wanted = PatchedModel(loras=(Lora(name="ink"),))
    assert variants.made(wanted) is not variants.made(PLAIN)
    assert full.found_free == [True, True]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Two models, each with two LoRAs; only one has room at a time."""
    place = tmp_path_factory.mktemp("two")
    folders = {name: tiny.make_sd(place / name, seed=seed) for seed, name in enumerate("ab")}
    listed = catalog.load(tiny.catalog(place, folders))
    loras = {
        name: {"source": str(tiny.make_lora(place / f"{name}.safetensors", folders["a"], seed=seed))}
        for seed, name in enumerate(("ink", "gold"))
    }
    changed = {
        name: ModelEntry.model_validate({**entry.model_dump(), "name": name, "loras": loras})
        for name, entry in listed.models.items()
    }
    return Catalog(default="a", models=changed)


def come_and_go(models: Models, times: int) -> None:
    """Load each model in turn, which makes the other leave, and draw with it and its LoRAs."""
    for turn in range(times):
        for name in ("a", "b"):
            engine = models.engine(name)
            lora = Lora(name=("ink", "gold")[turn % 2], weight=0.5 + turn / 1000)
            request = GenerationRequest(
                prompt=f"a fox {turn}", width=64, height=64, seed=turn, num_inference_steps=2,
                num_images_per_prompt=1, loras=(lora,),
            )  # fmt: skip
            engine.submit(request).result()
            assert models.loaded() == {name}


def alive() -> tuple[int, int]:
    """Tensors that anything holds, and the bytes of their storages."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if type(each) in (Tensor, torch.nn.Parameter)]
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    return len(tensors), sum(storages.values())


def growth(two: Catalog, times: int) -> tuple[int, int, int]:
    """Tensors, their bytes and resident bytes that so many rounds leave, after some that fill caches."""
    process = psutil.Process()
    with closing(Models(two, "cpu", "off", memory_bytes=1)) as models:
        come_and_go(models, 2)
        tensors, size = alive()
        resident = process.memory_info().rss
        come_and_go(models, times)
        more_tensors, more_size = alive()
        return more_tensors - tensors, more_size - size, process.memory_info().rss - resident


def test_loads_unloads_and_loras_leave_no_tensor_behind(two: Catalog) -> None:
    tensors, size, _ = growth(two, 4)
    assert tensors <= 20
    assert size <= 2**16


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_a_hundred_loads_unloads_and_loras_leave_memory_where_it_was(two: Catalog) -> None:
    tensors, size, resident = growth(two, 50)
    assert tensors <= 20
    assert size <= 2**16
    assert resident < 64 * 2**20, f"{resident / 2**20:.0f} MiB more"
