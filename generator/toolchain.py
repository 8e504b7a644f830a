"""What torch's compiler needs to find on a machine with a card, where nobody installed CUDA itself."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

INSTALLED_AT = Path("/usr/local/cuda")


def let_compilers_find_cuda(folder: Path) -> None:
    """Point this process's children to the headers that torch's own packages bring, and to the card's driver.

    An installed CUDA stays what it was. `folder` is where a link to the driver may lie.
    """
    if "CUDA_HOME" in os.environ or shutil.which("nvcc") or INSTALLED_AT.exists():
        return
    home = cuda_of_torch()
    if home is not None:
        os.environ["CUDA_HOME"] = str(home)
    driver = loaded_library("libcuda.so")
    if driver is not None:
        link = folder / "libcuda.so"
        link.unlink(missing_ok=True)
        link.symlink_to(driver)
        os.environ["LIBRARY_PATH"] = os.pathsep.join(
            filter(None, [str(folder), os.environ.get("LIBRARY_PATH")])
        )


def cuda_of_torch() -> Path | None:
    """Where the packages that PyPI's torch depends on keep CUDA's headers and libraries."""
    packages = find_spec("nvidia")
    for place in packages.submodule_search_locations or [] if packages else []:
        for header in sorted(Path(place).glob("*/include/cuda.h")):
            return header.parent.parent
    return None


def loaded_library(name: str) -> Path | None:
    """The file of a shared library that this process uses."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        *_, path = line.split()
        if Path(path).name.startswith(name):
            return Path(path)
    return None
