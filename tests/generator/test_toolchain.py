"""Where a compiler finds CUDA that came with torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from generator.compiling import toolchain


def install(home: Path) -> Path:
    for header in toolchain.HEADERS:
        file = home / "include" / header
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return home


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages as PyPI's torch brings them, and no CUDA anywhere else."""
    install(tmp_path / "nvidia" / "cu13")
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
    installed = install(packages / "opt")
    monkeypatch.setenv("CUDA_HOME", str(installed))
    toolchain.let_compilers_find_cuda(packages)
    assert os.environ["CUDA_HOME"] == str(installed)


@pytest.mark.parametrize("header", toolchain.HEADERS)
def test_a_home_without_all_headers_is_none(packages: Path, header: str) -> None:
    (packages / "nvidia" / "cu13" / "include" / header).unlink()
    toolchain.let_compilers_find_cuda(packages)
    assert "CUDA_HOME" not in os.environ
    assert "no headers of CUDA's" in dict(toolchain.missing())


def test_the_compiler_beside_the_headers_tells_where_they_are(packages: Path) -> None:
    (packages / "nvidia").rename(packages / "elsewhere")
    home = packages / "elsewhere" / "cu13"
    (packages / "bin").mkdir()
    (home / "bin").mkdir()
    (home / "bin" / "nvcc").touch(mode=0o755)
    os.environ["PATH"] = str(home / "bin")
    assert toolchain.cuda_home() == home


def test_a_loaded_library_is_found_and_linked(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = toolchain.loaded_library("libc.so")
    assert libc is not None
    assert libc.exists()
    assert toolchain.loaded_library("libnothing") is None
    monkeypatch.setattr(toolchain, "loaded_library", lambda _: libc)
    for _ in range(2):
        toolchain.let_compilers_find_cuda(packages)
    assert (packages / "libcuda.so").resolve() == libc.resolve()
    assert os.environ["LIBRARY_PATH"] == str(packages)
    assert {each.name for each in packages.iterdir() if not each.is_dir()} == {"libcuda.so"}
