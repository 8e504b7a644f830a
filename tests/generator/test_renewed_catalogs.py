"""A catalog that changes while a worker works: nothing restarts, and what cannot be loaded says why."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from generator.worker.models import Models
from storage import attempts, catalog, workers
from storage.catalog import Catalog
from storage.catalog_watch import WatchedCatalog
from storage.config import Config
from storage.contract import ErrorCode, JobState
from storage.database import Database
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.working import LONG, Place, wait_for

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAUSES_MS", (1, 1))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: tiny.make_sd(folder / name, seed=seed) for seed, name in enumerate("ab")}


def with_entry(before: Catalog, name: str, **fields: Any) -> Catalog:
    entry = before[name].model_copy(update=fields)
    return before.model_copy(update={"models": {**before.models, name: entry}})


@pytest.fixture
def listed(folders: dict[str, Path], tmp_path: Path, upscaler_folder: Path) -> Catalog:
    return catalog.load(tiny.catalog(tmp_path, folders, upscaler=upscaler_folder))


@pytest.fixture
def models(listed: Catalog) -> Iterator[Models]:
    with closing(Models(listed, "cpu")) as models:
        yield models


def test_only_models_that_are_drawn_otherwise_are_loaded_anew(models: Models, listed: Catalog) -> None:
    before = {name: models.engine(name) for name in "ab"}
    models.renew(with_entry(listed, "a", title="Another", description="For members", license="MIT"))
    assert models.engine("a") is before["a"]
    models.renew(with_entry(listed, "a", chaos_phrases=("in the snow",)))
    assert models.loaded() == {"b"}
    assert models.engine("a") is not before["a"]
    assert models.engine("b") is before["b"]


def test_a_model_that_is_named_no_more_leaves_but_for_who_began_before(
    models: Models, listed: Catalog
) -> None:
    begun = models.as_of_now()
    engine, upscaler = begun.engine("a"), begun.upscaler("a")
    models.renew(listed.model_copy(update={"default": "b", "models": {"b": listed["b"]}}))
    assert models.names() == {"b"}
    with pytest.raises(CatalogError, match="has no model 'a'"):
        models.engine("a")
    assert begun.upscaler("a") is upscaler
    assert begun.safety("a").check([]) == []
    assert begun.engine("a") is not engine, "it would be loaded again, by the entry of then"
    models.renew(listed)
    assert models.engine("a") not in (engine, begun.engine("a"))


def test_what_was_loaded_by_an_older_entry_leaves_with_the_next_catalog(
    models: Models, listed: Catalog
) -> None:
    begun = models.as_of_now()
    models.renew(listed.model_copy(update={"default": "b", "models": {"b": listed["b"]}}))
    begun.engine("a")
    models.engine("b")
    models.renew(with_entry(listed.model_copy(update={"default": "b", "models": {"b": listed["b"]}}), "b"))
    assert models.loaded() == {"b"}


def test_a_companion_may_leave_while_it_is_asked_for(models: Models, listed: Catalog) -> None:
    class Leaving(dict[Any, Any]):
        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            self.clear()
            return found

    models.upscaler("a")
    models._companions = Leaving(models._companions)
    assert models.upscaler("a").size_bytes > 0


def test_a_companion_that_no_model_names_leaves(models: Models, listed: Catalog) -> None:
    models.upscaler("a")
    held = len(models._companions)
    without = {name: entry.model_copy(update={"upscaler": None}) for name, entry in listed.models.items()}
    models.renew(listed.model_copy(update={"models": without}))
    assert len(models._companions) == held - 1


@pytest.fixture
def own(tmp_path: Path, folders: dict[str, Path]) -> Iterator[Place]:
    """A worker's place with a catalog of its own, which names `plain` alone."""
    shutil.copytree(folders["a"], tmp_path / "plain")
    file = write(tmp_path, plain="plain")
    config = Config(data_dir=tmp_path, catalog=file, broker_url=SecretStr("memory://"))
    database = Database(config.database)
    database.upgrade()
    database.close()
    place = Place(config)
    place.backends.catalogs = WatchedCatalog(lambda: file, look_seconds=0.05)
    yield place
    place.close()


def write(folder: Path, **sources: str) -> Path:
    return tiny.catalog(folder, {name: Path(source) for name, source in sources.items()}, max_steps=LONG)


def told(place: Place) -> tuple[list[str], dict[str, str]]:
    """What the worker's row says that it serves, and the reasons of what it cannot load."""
    with place.backends.database.reading() as session:
        (row,) = workers.alive(session)
        return row.models, row.broken


def test_a_model_that_is_added_draws_without_a_restart(own: Place, folders: dict[str, Path]) -> None:
    with own.working(look_seconds=0.05):
        assert told(own) == (["plain"], {})
        write(own.config.data_dir, plain="plain", more=str(folders["b"]))
        assert own.wait(own.ask(model="more")).state == JobState.SUCCEEDED
        wait_for(lambda: told(own) == (["more", "plain"], {}))


def test_a_job_that_runs_ends_on_the_entry_it_began_with(own: Place, folders: dict[str, Path]) -> None:
    with own.working(look_seconds=0.05):
        job = own.ask(num_inference_steps=60, num_images_per_prompt=1)
        own.wait(job, JobState.RUNNING)
        wait_for(lambda: own.models.loaded() == {"plain"})
        write(own.config.data_dir, more=str(folders["b"]))
        wait_for(lambda: own.models.names() == {"more"})
        assert own.wait(job).state == JobState.SUCCEEDED
        assert own.models.loaded() == frozenset()
        late = own.wait(own.ask(num_inference_steps=1))
        assert late.error_code == ErrorCode.MODEL_UNAVAILABLE, "nobody serves it: its member is told"


def test_what_does_not_load_leaves_the_offer_with_its_reason_until_it_is_mended(
    own: Place, folders: dict[str, Path]
) -> None:
    weights = own.config.data_dir / "broken" / WEIGHTS
    shutil.copytree(folders["b"], own.config.data_dir / "broken")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with own.working(look_seconds=0.05):
        write(own.config.data_dir, plain="plain", broken="broken")
        failed = own.wait(own.ask(model="broken"))
        assert failed.error_code == ErrorCode.MODEL_UNAVAILABLE
        wait_for(lambda: told(own)[0] == ["plain"])
        (reason,) = told(own)[1].values()
        assert reason.startswith("The model at ")
        with own.backends.database.reading() as session:
            assert workers.broken_models(session) == {"broken": reason}
        weights.write_bytes(whole)
        wait_for(lambda: told(own) == (["broken", "plain"], {}))
        assert own.wait(own.ask(model="broken")).state == JobState.SUCCEEDED


def test_a_source_that_is_gone_is_known_before_anybody_asks(own: Place) -> None:
    with own.working(look_seconds=0.05):
        write(own.config.data_dir, plain="plain", gone="gone.safetensors")
        wait_for(lambda: told(own)[0] == ["plain"] and "gone" in told(own)[1])
        assert "it does not exist" in told(own)[1]["gone"]
