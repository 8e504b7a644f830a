"""The catalog is read again when its file changed; one that does not read leaves the old one in force."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from storage.catalog_watch import WatchedCatalog
from storage.config import Config
from storage.errors import CatalogError


def write(path: Path, *names: str) -> Path:
    path.write_text("".join(f'[models.{name}]\nsource = "x"\nsizes = [[64, 64]]\n' for name in names))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "catalog.toml", "one")


def test_a_changed_file_is_read_again(file: Path) -> None:
    watched = WatchedCatalog(lambda: file, look_seconds=0)
    before = watched()
    assert watched() is before, "nothing changed"
    write(file, "one", "two")
    assert list(watched().models) == ["one", "two"]
    assert list(before.models) == ["one"], "who had it goes on with it"


def test_it_is_looked_at_no_more_often_than_it_says(file: Path) -> None:
    watched = WatchedCatalog(lambda: file, look_seconds=600)
    write(file, "two")
    assert list(watched().models) == ["one"]


@pytest.mark.parametrize("spoilt", ["[models.one", "", None])
def test_a_file_that_does_not_read_is_said_once_and_changes_nothing(
    file: Path, spoilt: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    watched = WatchedCatalog(lambda: file, look_seconds=0)
    before = watched()
    if spoilt is None:
        file.unlink()
    else:
        file.write_text(spoilt)
    with caplog.at_level(logging.INFO, "storage.catalog_watch"):
        assert [watched() for _ in range(3)] == [before] * 3
        (said,) = [record.getMessage() for record in caplog.records]
        assert said.startswith(f"the catalog stays as it was read before: The catalog {file}")
        write(file, "mended")
        assert list(watched().models) == ["mended"]


def test_a_file_that_does_not_read_stops_the_start(file: Path) -> None:
    file.write_text("[")
    with pytest.raises(CatalogError):
        WatchedCatalog(lambda: file)


def test_the_data_folders_own_catalog_takes_over_once_it_is_there(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    watched = WatchedCatalog(lambda: config.catalog_file, look_seconds=0)
    assert list(watched().models) == ["picturebook"]
    write(config.own_catalog, "mine")
    assert list(watched().models) == ["mine"]
    config.own_catalog.write_text("picturebook = true\n" + config.own_catalog.read_text())
    assert list(watched().models) == ["mine", "picturebook"]
    assert watched().default == "mine"
    config.own_catalog.write_text("picturebook = 1\n")
    assert list(watched().models) == ["mine", "picturebook"]


def test_a_catalog_that_is_named_comes_before_the_data_folders(tmp_path: Path, file: Path) -> None:
    config = Config(data_dir=tmp_path / "data", catalog=file)
    config.data_dir.mkdir()
    write(config.own_catalog, "mine")
    assert config.catalog_file == file
