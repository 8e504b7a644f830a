"""Each test of the command has a folder of its own and nothing of the developer's `.env` or environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from easel.__main__ import app

Easel = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith(("EASEL_", "DISCORD_")) and not name.startswith("EASEL_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def easel() -> Easel:
    """Run the `easel` command as a user does, in a process of its own."""

    def run(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "easel", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )

    return run


@pytest.fixture
def easel_here() -> Easel:
    """Run it in this process, which takes no second to start; what would be a traceback is raised."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        answer = CliRunner().invoke(app, arguments)
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        return subprocess.CompletedProcess(arguments, answer.exit_code, answer.stdout, answer.stderr)

    return run
