"""Midjourney's versions in a catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import catalog
from storage.errors import CatalogError


def written(folder: Path, **versions: str) -> Path:
    tables = (
        f'[models.{name}]\nsource = "x"\nsizes = [[64, 64]]\nversions = {carried}\n'
        for name, carried in versions.items()
    )
    path = folder / "catalog.toml"
    path.write_text("\n".join(tables))
    return path


def test_a_version_stands_for_the_first_model_that_carries_it(tmp_path: Path) -> None:
    models = catalog.load(written(tmp_path, one='["6.1", "niji 6"]', two='["6.1", "7", "5.0"]'))
    assert models.versions() == {6.1: "one", 7.0: "two", 5.0: "two"}
    assert models.versions(niji=True) == {6.0: "one"}


@pytest.mark.parametrize("version", ["latest", "niji", "6.1.1", "niji six", "V7", ""])
def test_a_version_that_is_none_is_told(tmp_path: Path, version: str) -> None:
    with pytest.raises(CatalogError, match=r"Model 'one' in .*: versions"):
        catalog.load(written(tmp_path, one=f'["{version}"]'))


def test_the_shipped_catalog_carries_todays_versions() -> None:
    assert set(catalog.load().versions()) >= {7.0, 8.1}
