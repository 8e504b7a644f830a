"""Weights that a plain `easel models check` can judge, and pickles that become safe ones."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from easel import conversion, weight_files
from easel.models import missing_files
from storage import catalog
from storage.errors import CatalogError

PICTUREBOOK = catalog.shipped_catalog().parent


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A copy of Picturebook with its catalog."""
    kept = shutil.ignore_patterns("*.py", "__pycache__", "judge", "samples.png", "README.md")
    return Path(shutil.copytree(PICTUREBOOK, tmp_path / "book", ignore=kept))


def faults(book: Path) -> list[str]:
    return list(missing_files(catalog.load(book / "catalog.toml")["picturebook"]))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def header_alone(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20])


def no_json(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[8:12] = b"oops"
    file.write_bytes(data)


def other_shape(file: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))


WEIGHTS = [
    *(f"model/{part}" for part in ("unet", "vae", "text_encoder", "safety_checker")),
    *("upscaler", "describer", "segmenter", "controls/edges", "adapters/image_encoder", "adapters", "loras"),
]


@pytest.mark.parametrize("folder", WEIGHTS)
def test_a_file_cut_short_is_found_wherever_it_is(book: Path, folder: str) -> None:
    assert faults(book) == []
    file = min((book / folder).glob("*.safetensors"))
    cut(file)
    found = faults(book)
    assert found
    assert all(f"{file} is not a whole .safetensors file: it has" in fault for fault in found)


@pytest.mark.parametrize("damage", [longer, header_alone, no_json, other_shape])
def test_a_header_that_does_not_fit_is_found(book: Path, damage: Callable[[Path], None]) -> None:
    damage(book / "loras" / "blueprint.safetensors")
    (fault,) = faults(book)
    assert "the LoRA blueprint cannot be used:" in fault
    assert "is not a whole .safetensors file" in fault


def test_every_kind_of_number_has_its_size(tmp_path: Path) -> None:
    kinds = ["bool", "uint8", "int8", "float8_e5m2", "float8_e4m3fn", "int16", "float16", "bfloat16", "int32"]
    kinds += ["float32", "int64", "float64", "uint16", "uint32", "uint64", "complex64"]
    numbers = {kind: torch.zeros(3, dtype=getattr(torch, kind)) for kind in kinds}
    save_file(numbers, tmp_path / "all.safetensors")
    assert list(weight_files.faults_of_file(tmp_path / "all.safetensors")) == []


@pytest.mark.parametrize("lost", ["vocabulary", "model_index", "unet", "weights", "checker"])
def test_what_is_missing_is_named(book: Path, lost: str) -> None:
    model = book / "model"
    if lost == "vocabulary":
        (model / "words.txt").write_bytes("Schloß".encode("latin-1"))
    elif lost == "model_index":
        (model / "model_index.json").write_text("{")
    elif lost == "weights":
        (model / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    else:
        shutil.rmtree(model / {"unet": "unet", "checker": "safety_checker"}[lost])
    found = "; ".join(faults(book))
    assert {
        "vocabulary": f"{model}/words.txt is not UTF-8 text",
        "model_index": f"{model} is not a diffusers folder",
        "unet": f"{model}/unet does not exist",
        "weights": f"{model}/vae has no weights",
        "checker": f"{model}/safety_checker does not exist",
    }[lost] in found


def pickled(folder: Path, name: str) -> tuple[Path, dict[str, Any]]:
    file = min(folder.glob("*.safetensors"))
    weights = load_file(file)
    file.unlink()
    torch.save(weights, folder / name)
    return file, weights


def test_a_pickle_is_found_and_converted(book: Path) -> None:
    safe, weights = pickled(book / "model" / "text_encoder", "pytorch_model.bin")
    (fault,) = faults(book)
    assert "pytorch_model.bin is a pickle: make it safe with `easel models convert" in fault
    assert list(conversion.convert(book / "model")) == [safe]
    assert faults(book) == []
    again = load_file(safe)
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert list(conversion.convert(book / "model")) == []


def test_shards_and_tables_become_one_file(tmp_path: Path) -> None:
    one, other = torch.ones(2), torch.zeros(3)
    torch.save({"a": one, "tied": one}, tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save({"image_proj": {"b": other}}, tmp_path / "pytorch_model-00002-of-00002.bin")
    assert list(conversion.convert(tmp_path)) == [tmp_path / "model.safetensors"]
    assert set(load_file(tmp_path / "model.safetensors")) == {"a", "tied", "image_proj.b"}


class Harmful:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harmed",)


def test_a_pickle_that_would_do_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.ckpt").write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(CatalogError, match=r"model\.ckpt cannot be converted"):
        list(conversion.convert(tmp_path / "model.ckpt"))
    assert not (tmp_path / "harmed").exists()
    with pytest.raises(CatalogError, match="is no pickled file"):
        list(conversion.convert(tmp_path / "gone"))
