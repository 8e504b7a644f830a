"""What is installed from this checkout has everything that a command reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from setuptools import Distribution  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
_FOR_READERS = {Path("picturebook/README.md"), Path("picturebook/samples.png")}
_MADE = {"__pycache__", "build"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> set[Path]:
    """Paths of what setuptools puts into the wheel, from the root."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        wheel = Distribution({"script_name": "setup.py"})
        wheel.parse_config_files(["pyproject.toml"])
        # Beside the code there may be a list of an earlier build, which would be taken for granted.
        wheel.get_command_obj("egg_info").egg_base = str(tmp_path_factory.mktemp("egg"))
        build = wheel.get_command_obj("build_py")
        build.ensure_finalized()
        outputs = build.get_outputs(include_bytecode=False)
        return {Path(output).relative_to(Path(build.build_lib)) for output in outputs}
    finally:
        os.chdir(before)


def test_every_file_of_the_packages_is_in_it(installed: set[Path]) -> None:
    packages = {path.parts[0] for path in installed}
    ours = {
        file.relative_to(ROOT)
        for package in packages
        for file in (ROOT / package).rglob("*")
        if file.is_file() and not _MADE & set(file.parts) and file.suffix != ".pyc"
    }
    assert packages == {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
    assert ours - installed == _FOR_READERS
    kinds = {path.suffix for path in installed}
    assert kinds >= {".safetensors", ".mo", ".webp", ".toml", ".json", ".mako"}
