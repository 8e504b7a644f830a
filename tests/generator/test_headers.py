"""Headers of weight files in each format, and that no damaged one raises anything but its sentence."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as some
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from generator.inspection import inspecting, weights
from generator.inspection.headers import TensorHeader
from storage.errors import CatalogError
from storage.foreign_files import DamagedFile

TENSORS = {"a.weight": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.float16), "c": torch.tensor(5)}


def safetensors(folder: Path) -> Path:
    save_file(TENSORS, folder / "w.safetensors", metadata={"ss_tag_frequency": "{}"})
    return folder / "w.safetensors"


def pickled(folder: Path) -> Path:
    torch.save({"state_dict": TENSORS}, folder / "w.ckpt")
    return folder / "w.ckpt"


def older(folder: Path) -> Path:
    torch.save(TENSORS, folder / "w.pt", _use_new_zipfile_serialization=False)
    return folder / "w.pt"


def gguf(folder: Path) -> Path:
    writer = GGUFWriter(folder / "w.gguf", "flux")
    writer.add_tensor("a.weight", np.ones((2, 3), np.float32))
    quantized = np.zeros((4, 34), np.uint8)  # blocks of 32 numbers in 34 bytes
    writer.add_tensor("b", quantized, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "w.gguf"


FORMATS = [safetensors, pickled, older, gguf]


@pytest.mark.parametrize("make", [safetensors, pickled, older])
def test_names_shapes_and_kinds_are_read(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    header = weights.of_file(make(tmp_path))
    assert header.tensors == {
        "a.weight": TensorHeader((2, 3), "F32"),
        "b": TensorHeader((4,), "F16"),
        "c": TensorHeader((), "I64"),
    }
    assert (header.parameters, header.precision, header.calls) == (11, "fp32", ())


def test_gguf_tells_its_network_and_its_quantization(tmp_path: Path) -> None:
    header = weights.of_file(gguf(tmp_path))
    assert header.tensors == {"a.weight": TensorHeader((2, 3), "F32"), "b": TensorHeader((4, 32), "Q8_0")}
    assert header.metadata == {"general.architecture": "flux"}
    assert header.precision == "GGUF Q8_0"


def test_parameters_of_a_module_are_its_tensors(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 2)
    torch.save({"params_ema": dict(network.named_parameters()), "epoch": 7}, tmp_path / "n.pth")
    assert weights.of_file(tmp_path / "n.pth").tensors == {
        "params_ema.weight": TensorHeader((2, 3), "F32"),
        "params_ema.bias": TensorHeader((2,), "F32"),
    }


class Evil:
    def __init__(self, told: Path) -> None:
        self.told = told

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.told,))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_something_is_named_and_not_run(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "evil.ckpt"
    file.write_bytes(pickle.dumps({"a": Evil(tmp_path / "ran")}, protocol=protocol))
    header = weights.of_file(file)
    assert any("Path" in call or "getattr" in call for call in header.calls), header.calls
    assert not (tmp_path / "ran").exists()
    pickle.loads(file.read_bytes())
    assert (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return {make.__name__: make(folder) for make in FORMATS}


def looked_at(file: Path) -> str | None:
    """The sentence with which a file is refused; None for one that is whole."""
    try:
        inspecting.inspect(str(file))
    except CatalogError as error:
        said = str(error)
    else:
        return None
    assert str(file) in said
    return said


@pytest.mark.parametrize("name", [make.__name__ for make in FORMATS])
def test_half_a_file_is_told(whole: dict[str, Path], tmp_path: Path, name: str) -> None:
    file = Path(shutil.copy(whole[name], tmp_path))
    assert looked_at(file) is None
    data = file.read_bytes()
    # Numbers that hang behind an older pickle are not counted.
    lengths = [0, 3, 9, len(data) // 3, len(data) // 2, *([] if name == "older" else [len(data) - 40])]
    for length in lengths:
        file.write_bytes(data[:length])
        said = looked_at(file)
        assert said is not None
        assert "is not a whole" in said


@settings(max_examples=150, deadline=None)
@given(
    some.sampled_from([make.__name__ for make in FORMATS]),
    some.lists(some.tuples(some.floats(0, 1), some.binary(max_size=8)), max_size=3),
    some.floats(0, 1),
)
def test_damage_is_told_or_harmless(
    whole: dict[str, Path], name: str, damage: list[tuple[float, bytes]], kept: float
) -> None:
    data = bytearray(whole[name].read_bytes())
    for place, put in damage:
        at = int(place * len(data))
        data[at : at + len(put)] = put
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, whole[name].name)
        file.write_bytes(data[: int(len(data) * max(kept, 0.2))])
        looked_at(file)
        if name == "safetensors":
            assert _is_whole(file) == _safetensors_agrees(file)


def two(first: list[Any], second: list[Any], **changes: Any) -> dict[str, Any]:
    a = {"dtype": "F32", "shape": [1], "data_offsets": first} | changes
    return {"a": a, "b": {"dtype": "F32", "shape": [1], "data_offsets": second}}


HEADERS = {
    "whole": two([0, 4], [4, 8]),
    "in another order": two([4, 8], [0, 4]),
    "hole": two([0, 4], [8, 12]),
    "overlap": two([0, 4], [2, 6]),
    "begins late": two([4, 8], [8, 12]),
    "other shape": two([0, 4], [4, 8], shape=[2]),
    "negative": two([0, 4], [4, 8], shape=[-1, -1]),
    "a fraction": two([0, 4], [4, 8], shape=[1.0]),
    "unknown kind": two([0, 4], [4, 8], dtype="F31"),
    "no shape": two([0, 4], [4, 8], shape=None),
    "metadata": two([0, 4], [4, 8]) | {"__metadata__": {"a": "b"}},
    "numbers in metadata": two([0, 4], [4, 8]) | {"__metadata__": {"a": 5}},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_judged_as_safetensors_judges_them(tmp_path: Path, name: str) -> None:
    text = json.dumps(HEADERS[name]).encode()
    end = max(tensor["data_offsets"][1] for key, tensor in HEADERS[name].items() if key in "ab")
    file = tmp_path / "w.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))
    assert _is_whole(file) == _safetensors_agrees(file) == (name in ("whole", "in another order", "metadata"))


def _is_whole(file: Path) -> bool:
    try:
        weights.of_file(file)
    except DamagedFile:
        return False
    return True


def _safetensors_agrees(file: Path) -> bool:
    try:
        with safe_open(file, "pt"):
            return True
    except SafetensorError:
        return False


def _keyed_by(tuples: int) -> bytes:
    """A table whose key is tuples in tuples, of which each holds the one within it twice."""
    return b"\x80\x02})" + b"2\x86" * tuples + b"K\x01s."


def _shared_tables() -> bytes:
    inner = {str(number): 0 for number in range(2000)}
    middle = {str(number): inner for number in range(2000)}
    return pickle.dumps({str(number): middle for number in range(2000)}, 2)


def _archive(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "archive", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + b"]" * 2**25 + b".")
    return (folder / "archive").read_bytes()


def _wide_number() -> bytes:
    sides = [10**4000] * 2000
    header = json.dumps({"a": {"dtype": "F32", "shape": sides, "data_offsets": [0, 0]}})
    return len(header).to_bytes(8, "little") + header.encode()


def _endless_field() -> bytes:
    """A GGUF file that announces an array of 2^60 numbers."""
    begin = struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 3)
    return begin + b"abc" + struct.pack("<IIQ", 9, 0, 1 << 60)


BOMBS: dict[str, Callable[[Path], bytes]] = {
    "nested.pt": lambda _: b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.",
    "doubled.pt": lambda _: _keyed_by(60),
    "shared.pt": lambda _: _shared_tables(),
    "packed.ckpt": _archive,
    "wide.safetensors": lambda _: _wide_number(),
    "endless.gguf": lambda _: _endless_field(),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_that_announce_much_are_told_soon(tmp_path: Path, name: str) -> None:
    """In a process of its own: one of them exhausted the stack, others memory."""
    (tmp_path / name).write_bytes(BOMBS[name](tmp_path))
    look = "import sys; from generator.inspection import inspecting; print(inspecting.inspect(sys.argv[1]))"
    looked = subprocess.run(
        [sys.executable, "-c", look, str(tmp_path / name)], capture_output=True, text=True, timeout=60
    )
    assert looked.returncode == 0 or "CatalogError" in looked.stderr, looked.stderr
