"""Kinds of devices: what each can do, and that only one file asks of which kind a device is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from generator import devices
from storage.errors import CatalogError

ROOT = Path(__file__).parents[2]
CUDAS_OWN = ("generator/devices.py", "generator/compiling/")
"""Files that may name CUDA: the one that tells devices apart, and those that compile for CUDA's alone."""
UNIX_ONLY = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "readline", "syslog"}
CPU = torch.device("cpu")


def sources(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


def kinds_named(file: Path) -> Iterator[str]:
    """Places where code, not a text for people, names a kind of GPU."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        named = isinstance(node, ast.Attribute) and node.attr in ("cuda", "mps", "xpu")
        compared = isinstance(node, ast.Compare) and any(
            isinstance(each, ast.Constant) and each.value in ("cuda", "mps", "xpu")
            for each in node.comparators
        )
        if named or compared:
            yield f"{file.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]


def test_only_one_file_asks_of_which_kind_a_device_is() -> None:
    files = [
        file
        for file in sources("generator", "easel", "benchmarks", "picturebook", "storage")
        if not str(file.relative_to(ROOT)).startswith(CUDAS_OWN)
    ]
    assert len(files) > 100
    assert [place for file in files for place in kinds_named(file)] == []
    assert list(kinds_named(ROOT / "generator/devices.py")), "the search finds what there is"


@pytest.mark.parametrize(
    "folder", ["easel", "bot", "actions", "prompts", "generator", "storage", "picturebook"]
)
def test_nothing_imports_what_only_unix_has(folder: str) -> None:
    """At the top of a module; within a `try` or a function it may."""
    found = []
    for file in sources(folder):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{file}: {name}" for name in names if name in UNIX_ONLY]
    assert found == []


def test_auto_is_the_accelerator_that_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    for seen, chosen in ((torch.device("mps"), "mps"), (torch.device("xpu", 0), "xpu:0"), (None, "cpu")):
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda seen=seen, **_: seen)
        assert str(devices.choose("auto")) == chosen


def test_a_device_that_is_not_here_is_named() -> None:
    with pytest.raises(CatalogError, match="EASEL_DEVICE=toaster cannot be used here"):
        devices.choose("toaster")
    assert devices.choose("cpu") == CPU


@pytest.mark.parametrize(
    ("kind", "half", "events", "compiled", "pinned"),
    [
        ("cpu", False, False, False, False),
        ("cuda:1", True, True, True, True),
        ("xpu", True, True, False, True),
        ("mps", True, False, False, False),
        ("hpu", True, False, False, False),
    ],
)
def test_what_each_kind_can_do(kind: str, *, half: bool, events: bool, compiled: bool, pinned: bool) -> None:
    device = torch.device(kind)
    can = devices.abilities(device)
    assert (can.half, can.events, can.compiled, can.pinned) == (half, events, compiled, pinned)
    assert devices.dtype(device) is (torch.float16 if half else torch.float32)
    assert devices.is_gpu(device) is half


def test_rocms_gpus_are_named_cuda_and_not_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (11, 0))
    device = torch.device("cuda")
    assert devices.abilities(device) == devices.abilities(torch.device("xpu"))
    assert devices.wider_dtype(device) is torch.bfloat16
    assert list(devices.lacks(device)) == ["networks are not compiled on this kind of device"]


def test_what_is_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(devices.lacks(CPU)) == []
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *_: False)
    said = " ".join(devices.lacks(torch.device("mps")))
    for word in ("compiled", "waiting", "offload", "float32"):
        assert word in said


def test_a_cpus_memory_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, peak = devices.taken_and_peak(CPU)
    assert 2**24 < taken <= peak < devices.total_bytes(CPU)
    monkeypatch.setattr(devices, "resource", None)
    taken, peak = devices.taken_and_peak(CPU)
    assert taken == peak, "Windows tells no peak"


def test_a_limit_is_a_share_of_a_gpus_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    monkeypatch.setattr(torch.accelerator, "get_memory_info", lambda _: (0, 24 * 2**30))
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: shares.append((share, device))
    )
    devices.limit(torch.device("cuda", 1), 8 * 2**30)
    devices.limit(CPU, 1)
    assert shares == [(1 / 3, torch.device("cuda", 1))]
