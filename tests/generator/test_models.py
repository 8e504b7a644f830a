from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from generator import devices
from generator.companions import enlargers
from generator.companions.safety import CheckerFolder
from generator.companions.upscale import Upscaler
from generator.worker.models import Models
from storage import catalog
from storage.catalog import Catalog
from storage.contract import GenerationRequest
from storage.errors import CatalogError
from tests.generator import tiny


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, upscaler_folder: Path) -> Catalog:
    folder = tmp_path_factory.mktemp("three")
    folders = {name: tiny.make_sd(folder / name, seed=seed) for seed, name in enumerate("abc")}
    return catalog.load(tiny.catalog(folder, folders, upscaler=upscaler_folder))


@pytest.fixture
def models(three: Catalog) -> Iterator[Models]:
    with closing(Models(three, "cpu")) as models:
        yield models


def asked(**wish: object) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 3, "num_inference_steps": 2}
    return GenerationRequest.model_validate(fields | wish)


def test_a_model_is_loaded_once_when_it_is_asked_for(models: Models) -> None:
    assert models.names() == {"a", "b", "c"}
    assert models.loaded() == frozenset()
    with ThreadPoolExecutor(4) as pool:
        engines = set(pool.map(models.engine, ["b"] * 4))
    assert len(engines) == 1
    assert models.loaded() == {"b"}
    assert models.safety("b") is models.safety("b")
    assert models.upscaler("a") is models.upscaler("b"), "both name the same folder"


def test_jobs_of_two_models_run_on_one_thread(models: Models) -> None:
    futures = [models.engine(name).submit(asked()) for name in ("a", "b")]
    first, second = (future.result() for future in futures)
    assert first[0].tobytes() != second[0].tobytes()
    assert models.engine("a").device_thread is models.engine("b").device_thread


def test_the_longest_unused_model_makes_room_but_not_for_its_own_jobs(three: Catalog) -> None:
    with closing(Models(three, "cpu")) as probe:
        one = probe.engine("a").family.size_bytes
    with closing(Models(three, "cpu", memory_bytes=int(2.5 * one))) as models:
        models.engine("a")
        models.engine("b")
        models.engine("a")
        models.engine("c")
        assert models.loaded() == {"a", "c"}
        running = models.engine("a").submit(asked(num_inference_steps=300))
        models.engine("c")
        models.engine("b")
        assert models.loaded() == {"a", "b"}, "c had nothing to do"
        assert not running.done()
        running.cancel()


def test_what_stands_beside_models_counts_but_stays(three: Catalog) -> None:
    with closing(Models(three, "cpu")) as probe:
        one, check = probe.engine("a").family.size_bytes, probe.safety("a")
        assert isinstance(check, CheckerFolder)
        assert probe.device_thread.meter.read().memory.weights == one + check.size_bytes
    with closing(Models(three, "cpu", memory_bytes=2 * one + check.size_bytes - 1)) as models:
        check = models.safety("a")
        models.engine("a")
        models.engine("b")
        assert models.loaded() == {"b"}
        assert models.safety("a") is check


def test_models_leave_where_a_companion_finds_no_memory(
    three: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Models(three, "cpu")) as models:
        loaded = []

        def load(source: str, *where: Any) -> Upscaler:
            loaded.append(models.loaded())
            if models.loaded():
                raise torch.OutOfMemoryError("the GPU is full")
            return Upscaler(enlargers.load(source), *where)

        monkeypatch.setattr(Upscaler, "load", load)
        models.engine("a")
        assert models.upscaler("a") is models.upscaler("a")
        assert loaded == [{"a"}, frozenset()]


def test_a_model_too_large_for_the_bound_is_served_all_the_same(three: Catalog) -> None:
    with closing(Models(three, "cpu", memory_bytes=1)) as models:
        for name in ("a", "b"):
            assert len(models.engine(name).submit(asked()).result()) == 4
            assert models.loaded() == {name}


def test_no_checker_no_worker(tmp_path: Path) -> None:
    bare = tiny.make_sd(tmp_path / "bare", checker=False)
    listed = catalog.load(tiny.catalog(tmp_path, {"bare": bare}))
    with pytest.raises(CatalogError, match="no safety checker"):
        Models(listed, "cpu", "on")
    with closing(Models(listed, "cpu", "off")) as models:
        images = models.engine("bare").submit(asked()).result()
        assert [verdict.unsafe for verdict in models.safety("bare").check(images)] == [False] * 4


def test_a_model_of_another_kind_needs_no_checker_to_leave_the_others(tmp_path: Path) -> None:
    (tmp_path / "flux").mkdir()
    (tmp_path / "flux" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    folders = {"plain": tiny.make_sd(tmp_path / "plain"), "flux": tmp_path / "flux"}
    with closing(Models(catalog.load(tiny.catalog(tmp_path, folders)), "cpu", "on")) as models:
        assert models.names() == {"plain"}
        assert "it is a FLUX.1 model" in models.broken()["flux"]


def test_safety_off_uses_no_checker_even_where_there_is_one(three: Catalog) -> None:
    with closing(Models(three, "cpu", "off")) as models:
        images = models.engine("a").submit(asked()).result()
        assert models.safety("a").check(images)[0].scores == {}


def test_what_the_catalog_has_not_is_named(models: Models, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no model 'd'"):
        models.engine("d")
    plain = catalog.load(tiny.catalog(tmp_path, {"a": tiny.make_sd(tmp_path / "a")}))
    with closing(Models(plain, "cpu")) as without, pytest.raises(CatalogError, match="has no upscaler"):
        without.upscaler("a")


def test_a_model_that_cannot_be_loaded_is_named_and_harms_nobody(three: Catalog, tmp_path: Path) -> None:
    broken = tiny.make_sd(tmp_path / "broken")
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    entries = {**three.models, "broken": three["a"].model_copy(update={"source": str(broken)})}
    with closing(Models(Catalog(default="a", models=entries), "cpu")) as models:
        with pytest.raises(CatalogError, match=r"The model at .*broken cannot be loaded"):
            models.engine("broken")
        assert len(models.engine("a").submit(asked()).result()) == 4


def test_a_device_that_is_not_there_is_named(three: Catalog) -> None:
    for device in ("cuda:99", "toaster"):
        with pytest.raises(CatalogError, match=f"EASEL_DEVICE={device}"):
            Models(three, device)


def test_full_precision_on_a_cpu() -> None:
    assert devices.dtype(torch.device("cpu")) is torch.float32
