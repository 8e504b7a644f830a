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
    file = CatalogFile(path)
    file.add_model("new", {"source": "z", "sizes": [[64, 64], [96, 64]]}, default=True)
    file.add_to(first, "loras", "two", {"source": "two.safetensors", "trigger": "t"})
    file.set("new", "license", "MIT")
    models = file.save()
    assert models.default == "new"
    assert models["new"].license == "MIT"
    assert models[first].loras["two"].trigger == "t"
    for line in WRITTEN[how].removeprefix("\ufeff").splitlines():
        assert line in path.read_text().splitlines() or "{" in line, line
    file = CatalogFile(path)
    file.remove_model("new")
    models = file.save()
    assert "new" not in models.models
    assert models.default == first
    assert [each.name for each in tmp_path.iterdir()] == ["catalog.toml"]


def test_what_does_not_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(f"[models.a]\n{ENTRY}\n")
    file = CatalogFile(path)
    file.set("a", "num_inference_steps", -1)
    with pytest.raises(CatalogError, match=f"Model 'a' in {path}: num_inference_steps"):
        file.save()
    assert path.read_text() == f"[models.a]\n{ENTRY}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["catalog.toml"]


def test_names_that_members_cannot_tell_apart_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(f"[models.dream-xl]\n{ENTRY}\nloras.ink = 'i.safetensors'\n")
    file = CatalogFile(path)
    with pytest.raises(FetchError, match="has a model 'dream-xl' already"):
        file.refuse_taken("Dream XL")
    with pytest.raises(FetchError, match="has something called 'Ink'"):
        file.refuse_taken_beside("dream-xl", "loras", "Ink")


def test_models_on_one_line_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text('models = { a = { source = "x", sizes = [[64, 64]] } }\n')
    with pytest.raises(CatalogError, match="has its models on one line"):
        CatalogFile(path).add_model("b", {"source": "x", "sizes": [[64, 64]]}, default=False)


def test_a_catalog_among_models_has_its_models_beside_it(tmp_path: Path) -> None:
    assert CatalogFile(tmp_path / "catalog.toml").models_folder == tmp_path / "models"
    assert CatalogFile(tmp_path / "models" / "catalog.toml").models_folder == tmp_path / "models"


def test_what_others_write_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(f"[models.a]\n{ENTRY}\n")
    slow, quick, late = (CatalogFile(path) for _ in range(3))
    slow.add_model("slow", {"source": "z", "sizes": [[64, 64]]}, default=True)
    slow.set("slow", "license", "MIT")
    quick.add_model("quick", {"source": "z", "sizes": [[64, 64]]}, default=False)
    late.add_model("quick", {"source": "y", "sizes": [[64, 64]]}, default=False)
    quick.save()
    path.write_text(f"# by hand\n{path.read_text()}")
    models = slow.save()
    assert set(models.models) >= {"a", "quick", "slow"}
    assert (models.default, models["slow"].license) == ("slow", "MIT")
    assert "# by hand\n" in path.read_text()
    with pytest.raises(FetchError, match="has a model 'quick' already"):
        late.save()
    assert catalog.load(path)["quick"].source.endswith("z")


def test_two_that_begin_a_catalog_are_both_in_it(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    first, second = CatalogFile(path), CatalogFile(path)
    for name, file in (("one", first), ("two", second)):
        file.add_model(name, {"source": "z", "sizes": [[64, 64]]}, default=False)
        file.save()
    assert {"one", "two"} <= set(catalog.load(path).models)
