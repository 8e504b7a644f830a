"""Requirements of torch's compiler on a machine with a GPU, where nobody may have installed CUDA itself."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

INSTALLED_AT = Path("/usr/local/cuda")

HEADERS = ("cuda.h", "crt/host_defines.h", "nv/target")
"""Headers of CUDA that compiled networks include; the last two are not in the packages that torch
asks for.
"""


def let_compilers_find_cuda(folder: Path) -> None:
    """Point this process's children to CUDA's headers and to the GPU's driver.

    `folder` is where a link to the driver may lie.
    """
    home = cuda_home()
    if home is not None:
        os.environ["CUDA_HOME"] = str(home)
    driver = loaded_library("libcuda.so")
    if driver is not None:
        # Other workers may share the folder: the link is never missing.
        link = folder / f"libcuda.so.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(driver)
        link.replace(folder / "libcuda.so")
        known = os.environ.get("LIBRARY_PATH", "").split(os.pathsep)
        others = [place for place in known if place and place != str(folder)]
        os.environ["LIBRARY_PATH"] = os.pathsep.join([str(folder), *others])


def missing() -> Iterator[tuple[str, str]]:
    """Requirements that are missing, each with the way to get it."""
    if not (os.environ.get("CXX") or shutil.which("g++")):
        yield "no C++ compiler", "apt-get install g++"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        yield "no headers of Python's", "apt-get install python3-dev"
    if cuda_home() is None:
        yield "no headers of CUDA's", "pip install 'cuda-toolkit[cccl,crt]'"


def cuda_home() -> Path | None:
    """Folder with all of CUDA's headers: an installed one, or else one that packages bring."""
    for home in _homes():
        if all((home / "include" / header).exists() for header in HEADERS):
            return home
    return None


def _homes() -> Iterator[Path]:
    if named := os.environ.get("CUDA_HOME"):
        yield Path(named)
    if compiler := shutil.which("nvcc"):
        yield Path(compiler).parent.parent
    yield INSTALLED_AT
    packages = find_spec("nvidia")
    for place in packages.submodule_search_locations or [] if packages else []:
        for header in sorted(Path(place).glob(f"*/include/{HEADERS[0]}")):
            yield header.parent.parent


def loaded_library(name: str) -> Path | None:
    """The file of a shared library that this process uses."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        *_, path = line.split()
        if Path(path).name.startswith(name):
            return Path(path)
    return None
