"""Where a compiler finds CUDA that came with torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from generator import toolchain


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages as PyPI's torch brings them, and no CUDA anywhere else."""
    (tmp_path / "nvidia" / "cu13" / "include").mkdir(parents=True)
    (tmp_path / "nvidia" / "cu13" / "include" / "cuda.h").touch()
    monkeypatch.setattr(toolchain, "INSTALLED_AT", tmp_path / "nowhere")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CUDA_HOME", "LIBRARY_PATH"):
        # So that what is set on the way is undone, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path


def test_the_headers_are_those_of_torchs_packages(packages: Path) -> None:
    toolchain.let_compilers_find_cuda(packages)
    assert os.environ["CUDA_HOME"] == str(packages / "nvidia" / "cu13")


def test_an_installed_cuda_stays(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_HOME", "/opt/cuda")
    toolchain.let_compilers_find_cuda(packages)
    assert os.environ["CUDA_HOME"] == "/opt/cuda"


def test_without_either_nothing_is_set(packages: Path) -> None:
    (packages / "nvidia" / "cu13" / "include" / "cuda.h").unlink()
    toolchain.let_compilers_find_cuda(packages)
    assert "CUDA_HOME" not in os.environ


def test_a_loaded_library_is_found_and_linked(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = toolchain.loaded_library("libc.so")
    assert libc is not None
    assert libc.exists()
    assert toolchain.loaded_library("libnothing") is None
    monkeypatch.setattr(toolchain, "loaded_library", lambda _: libc)
    for _ in range(2):
        toolchain.let_compilers_find_cuda(packages)
    assert (packages / "libcuda.so").resolve() == libc.resolve()
    assert os.environ["LIBRARY_PATH"].split(os.pathsep)[0] == str(packages)
