from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from generator.worker.models import Models
from storage import catalog
from storage.config import Config
from storage.database import Database
from tests.generator import tiny
from tests.generator.working import Place, make_catalog


@pytest.fixture(scope="session")
def sd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 1.x (epsilon)."""
    return tiny.make_sd(tmp_path_factory.mktemp("models") / "sd")


@pytest.fixture(scope="session")
def sd2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 2.x (v-prediction)."""
    return tiny.make_sd(tmp_path_factory.mktemp("models") / "sd2", prediction_type="v_prediction", seed=1)


@pytest.fixture(scope="session")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_sdxl(tmp_path_factory.mktemp("models") / "sdxl")


@pytest.fixture(scope="session")
def picturebook_folder() -> Path:
    """The model that ships, which was trained."""
    return catalog.shipped_catalog().parent / "model"


@pytest.fixture(scope="session")
def inpainting_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion with a UNet that was made for inpainting."""
    return tiny.make_sd(tmp_path_factory.mktemp("models") / "inpainting", seed=2, in_channels=9)


@pytest.fixture(scope="session")
def upscaler_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_upscaler(tmp_path_factory.mktemp("models") / "upscaler")


@pytest.fixture(scope="session")
def catalog_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of tiny models: `plain` passes every picture, `strict` withholds every one."""
    return make_catalog(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="session")
def models(catalog_file: Path) -> Iterator[Models]:
    """The catalog's models, loaded once for all; whoever breaks something has their own."""
    models = Models(catalog.load(catalog_file), "cpu", "on")
    models.engine("plain")
    models.safety("plain")
    yield models
    models.close()


@pytest.fixture
def config(tmp_path: Path, catalog_file: Path) -> Config:
    """An empty database and image store."""
    config = Config(data_dir=tmp_path, catalog=catalog_file, broker_url=SecretStr("memory://"))
    database = Database(config.database)
    database.upgrade()
    database.close()
    return config


@pytest.fixture
def place(config: Config, models: Models) -> Iterator[Place]:
    place = Place(config, models)
    yield place
    place.close()


@pytest.fixture
def on_postgresql(tmp_path: Path, catalog_file: Path, models: Models, postgres_url: str) -> Iterator[Place]:
    """A place whose database is PostgreSQL."""
    database = Database(postgres_url)
    database.upgrade()
    database.close()
    place = Place(
        Config(data_dir=tmp_path, catalog=catalog_file, database_url=SecretStr(postgres_url)), models
    )
    yield place
    place.close()
