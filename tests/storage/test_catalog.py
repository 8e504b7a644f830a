"""What a catalog may say: Midjourney's versions, several upscalers, LoRAs."""

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


def one(folder: Path, *lines: str) -> Path:
    path = folder / "catalog.toml"
    path.write_text("\n".join(["[models.one]", 'source = "x"', "sizes = [[64, 64]]", *lines]))
    return path


def test_the_first_of_several_upscalers_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "crisp").mkdir()
    table = 'upscalers = { soft = { source = "owner/soft" }, crisp = { source = "crisp" } }'
    entry = catalog.load(one(tmp_path, table))["one"]
    chosen = [entry.upscaler_named(name) for name in (None, "soft", "crisp", "gone")]
    crisp = str(tmp_path / "crisp")
    assert [each and each.source for each in chosen] == ["owner/soft", "owner/soft", crisp, "owner/soft"]


def test_one_upscaler_needs_no_name(tmp_path: Path) -> None:
    entry = catalog.load(one(tmp_path, 'upscaler = { source = "owner/soft" }'))["one"]
    assert entry.upscalers == {}
    assert entry.upscaler_named(None) == entry.upscaler_named("any") == entry.upscaler
    assert catalog.load(one(tmp_path))["one"].upscaler_named(None) is None


def test_loras_lie_beside_the_catalog_or_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "ink.safetensors").write_bytes(b"")
    tables = [
        "[models.one.loras]",
        'ink = "ink.safetensors"',
        'oil = { source = "owner/oil", file = "oil.safetensors", trigger = "in oils" }',
    ]
    loras = catalog.load(one(tmp_path, *tables))["one"].loras
    assert [*loras] == ["ink", "oil"]
    assert loras["ink"].source == str(tmp_path / "ink.safetensors")
    assert (loras["oil"].source, loras["oil"].file, loras["oil"].trigger) == (
        "owner/oil",
        "oil.safetensors",
        "in oils",
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('loras = { "a b" = "x" }', "loras"),
        ("loras = { ink = 3 }", "loras.ink"),
        ('loras = { ink = { path = "x" } }', "loras.ink.source"),
        ('upscaler = { source = "x" }\nupscalers = { a = { source = "y" } }', "one `upscaler` or several"),
    ],
)
def test_what_is_wrong_with_them_is_told(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(CatalogError, match=rf"Model 'one' in .*: .*{said}"):
        catalog.load(one(tmp_path, table))
