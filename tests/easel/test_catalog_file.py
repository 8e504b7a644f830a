"""A catalog is changed as its owner writes it: every way of writing tables stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from easel.adding.catalog_file import CatalogFile
from storage import catalog
from storage.errors import CatalogError, FetchError

ENTRY = """source = "x"
sizes = [[64, 64]]"""
WRITTEN = {
    "without an end of line": f"[models.a]\n{ENTRY}",
    "of Windows": f"# mine\r\n[models.a]\r\n{ENTRY}\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
    "with a byte order mark": f"\ufeff[models.a]\n{ENTRY}\n",
    "with tables within": f'# top\n[models.a]\n{ENTRY}\n[models.a.loras]\nink = "i" # ink\n# end\n',
    "with an empty table above": f"[models]\n[models.a]\n{ENTRY}\n",
    "out of order": f'[models.a]\n{ENTRY}\n[models.b]\n{ENTRY}\n[models.a.loras]\nink = "i.safetensors"\n',
    "with a name in quotes": f'[models."My Model"]\n{ENTRY}\n',
    "with dotted keys": f'[models.a]\n{ENTRY}\nloras.ink = "i.safetensors"\n',
    "with a model on one line": '[models]\na = { source = "x", sizes = [[64, 64]] }\n',
}


@pytest.mark.parametrize("how", WRITTEN)
def test_what_is_added_and_removed_leaves_the_rest(tmp_path: Path, how: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_bytes(WRITTEN[how].encode())
    first = next(iter(catalog.load(path).models))
    file = CatalogFile.open(path)
    file.add_model("new", {"source": "z", "sizes": [[64, 64], [96, 64]]}, default=True)
    file.add_to(first, "loras", "two", {"source": "two.safetensors", "trigger": "t"})
    file.set("new", "license", "MIT")
    models = file.save()
    assert models.default == "new"
    assert models["new"].license == "MIT"
    assert models[first].loras["two"].trigger == "t"
    for line in WRITTEN[how].removeprefix("\ufeff").splitlines():
        assert line in path.read_text().splitlines() or "{" in line, line
    file = CatalogFile.open(path)
    file.remove_model("new")
    models = file.save()
    assert "new" not in models.models
    assert models.default == first
    assert [each.name for each in tmp_path.iterdir()] == ["catalog.toml"]


def test_what_does_not_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(f"[models.a]\n{ENTRY}\n")
    file = CatalogFile.open(path)
    file.set("a", "num_inference_steps", -1)
    with pytest.raises(CatalogError, match=f"Model 'a' in {path}: num_inference_steps"):
        file.save()
    assert path.read_text() == f"[models.a]\n{ENTRY}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["catalog.toml"]


def test_names_that_members_cannot_tell_apart_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(f"[models.dream-xl]\n{ENTRY}\nloras.ink = 'i.safetensors'\n")
    file = CatalogFile.open(path)
    with pytest.raises(FetchError, match="has a model 'dream-xl' already"):
        file.refuse_taken("Dream XL")
    with pytest.raises(FetchError, match="has something called 'Ink'"):
        file.refuse_taken_beside("dream-xl", "loras", "Ink")


def test_models_on_one_line_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text('models = { a = { source = "x", sizes = [[64, 64]] } }\n')
    with pytest.raises(CatalogError, match="has its models on one line"):
        CatalogFile.open(path).add_model("b", {"source": "x", "sizes": [[64, 64]]}, default=False)


def test_a_catalog_among_models_has_its_models_beside_it(tmp_path: Path) -> None:
    assert CatalogFile.open(tmp_path / "catalog.toml").models_folder == tmp_path / "models"
    assert CatalogFile.open(tmp_path / "models" / "catalog.toml").models_folder == tmp_path / "models"
