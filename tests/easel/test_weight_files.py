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

from easel import conversion, weight_fits
from generator.families import sources
from generator.inspection import entries, weights
from storage import catalog
from storage.errors import CatalogError

PICTUREBOOK = catalog.shipped_catalog().parent


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A copy of Picturebook with its catalog."""
    kept = shutil.ignore_patterns("*.py", "__pycache__", "judge", "samples.png", "README.md")
    return Path(shutil.copytree(PICTUREBOOK, tmp_path / "book", ignore=kept))


def faults(book: Path) -> list[str]:
    return list(entries.faults(catalog.load(book / "catalog.toml")["picturebook"]))


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
    assert list(weights.faults_of_file(tmp_path / "all.safetensors")) == []


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


def of_index(part: str, value: Any) -> Callable[[Path], None]:
    """Sets a part of the index of a model; None takes it out."""

    def change(book: Path) -> None:
        file = book / "model" / "model_index.json"
        index = {**json.loads(file.read_text()), part: value}
        file.write_text(json.dumps({name: kept for name, kept in index.items() if kept is not None}))

    return change


def without(*names: str) -> Callable[[Path], None]:
    def remove(book: Path) -> None:
        for place in (book / name for name in names):
            shutil.rmtree(place) if place.is_dir() else place.unlink()

    return remove


def written(name: str, text: str) -> Callable[[Path], object]:
    return lambda book: (book / name).write_text(text)


def renamed(name: str, other: str) -> Callable[[Path], object]:
    return lambda book: (book / name).rename((book / name).with_name(other))


INDEX = "model/model_index.json"
INCOMPLETE = [
    (without("model/tokenizer"), "model/tokenizer does not exist"),
    (without("model/tokenizer/tokenizer.json", "model/tokenizer/merges.txt"), "tokenizer has no merges.txt"),
    (
        without(*(f"model/tokenizer/{name}.json" for name in ("tokenizer", "vocab"))),
        "tokenizer has no tokenizer",
    ),
    (written("model/tokenizer/tokenizer.json", "{"), "tokenizer.json is not JSON"),
    (without("model/scheduler"), "model/scheduler does not exist"),
    (without("model/scheduler/scheduler_config.json"), "scheduler has no scheduler_config.json"),
    (written("model/scheduler/scheduler_config.json", "[]"), "scheduler_config.json is not JSON"),
    (without("model/feature_extractor"), "model/feature_extractor does not exist"),
    (written(INDEX, "{}"), "is not a diffusers folder"),
    (of_index("_class_name", ["evil", "Pipeline"]), "model_index.json names no pipeline"),
    (of_index("unet", None), "model_index.json names nothing as its `unet`"),
    (of_index("vae", [None, None]), "model_index.json names nothing as its `vae`"),
    (of_index("unet", ["evil", "Evil"]), "names evil.Evil, and Easel runs no code that comes with a model"),
    (of_index("_class_name", "StableDiffusionXLPipeline"), "names nothing as its `tokenizer_2`"),
    (written("model/unet/config.json", "{}"), "does not say of what kind the network is"),
    (
        renamed("model/vae/diffusion_pytorch_model.safetensors", "vae.fp16.safetensors"),
        "no weights of the name",
    ),
    (without("describer/tokenizer.json"), "describer has no tokenizer"),
    (without("describer/preprocessor_config.json"), "describer has no preprocessor_config.json"),
    (without("segmenter/processor_config.json"), "segmenter has no preprocessor_config.json"),
    (without("segmenter/tokenizer.json"), "segmenter has no tokenizer"),
]


@pytest.mark.parametrize(("damage", "said"), INCOMPLETE)
def test_a_folder_with_which_no_prompt_can_be_drawn_is_found(
    book: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(book)
    assert said in "; ".join(faults(book))


@pytest.mark.parametrize("value", [["evil", "Pipeline"], {}, None, 7])
def test_the_worker_says_so_too(book: Path, value: Any) -> None:
    file = book / INDEX
    file.write_text(json.dumps({**json.loads(file.read_text()), "_class_name": value}))
    with pytest.raises(CatalogError, match="its `_class_name` has to be a name"):
        sources.family_of(str(book / "model"))


@pytest.mark.parametrize("text", ["[]", "7", "{", "[" * 100_000])
def test_an_index_that_is_no_object_is_said(book: Path, text: str) -> None:
    (book / INDEX).write_text(text)
    with pytest.raises(CatalogError, match="is not JSON, or not an object"):
        sources.family_of(str(book / "model"))


def misfits(book: Path) -> list[str]:
    return list(weight_fits.misfits(catalog.load(book / "catalog.toml")["picturebook"]))


@pytest.mark.parametrize("part", ["model/unet", "model/vae", "controls/edges"])
def test_weights_that_do_not_fit_their_configuration_are_found(book: Path, part: str) -> None:
    assert misfits(book) == []
    file, config = book / part / "diffusion_pytorch_model.safetensors", book / part / "config.json"
    weights, described = load_file(file), config.read_text()
    first = min(weights)
    save_file({name: tensor for name, tensor in weights.items() if name != first}, file)
    assert misfits(book) == [f"{book / part} lacks weights that its config.json describes: {first}"]
    save_file({**weights, first: torch.zeros(3, 2)}, file)
    (fault,) = misfits(book)
    assert f"does not fit the weights: {first} is [3, 2], and by it" in fault
    save_file(weights, file)
    config.write_text(json.dumps({"_class_name": json.loads(described)["_class_name"]}))
    assert any("does not fit the weights" in fault for fault in misfits(book))
    config.write_text(json.dumps({**json.loads(described), "block_out_channels": "wide"}))
    assert any("config.json describes no network" in fault for fault in misfits(book))


def test_weights_in_parts_and_under_older_names_fit(book: Path) -> None:
    folder = book / "model" / "vae"
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    attention = {name: name for name in weights}
    for name in weights:
        for new, old in older.items():
            if ".attentions." in name and f".{new}." in name:
                attention[name] = name.replace(f".{new}.", f".{old}.")
    save_file(
        {attention[name]: tensor for name, tensor in weights.items()},
        folder / "diffusion_pytorch_model.safetensors",
    )
    folder = book / "model" / "unet"
    file = folder / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    file.unlink()
    places = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(weights)}
    for part in set(places.values()):
        save_file({name: tensor for name, tensor in weights.items() if places[name] == part}, folder / part)
    (folder / f"{file.name}.index.json").write_text(json.dumps({"weight_map": places}))
    assert faults(book) == misfits(book) == []


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
