"""Windows, imitated as far as this system can: without its Unix's modules, modes and watched signals."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easel import tenancy
from easel.stop_signals import SIGNALS, unwatch_signals, watch_signals
from storage import private_files
from storage.errors import ConfigError


def locking(descriptor: int, mode: int, size: int) -> None:
    """msvcrt's: some bytes from where the file is, for whoever opened it; refused as Windows does."""
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == tenancy.FAR
    assert (mode, size) == (2, 1)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError from None


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenancy, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(private_files, "_HAS_MODES", False)


@pytest.mark.usefixtures("windows")
def test_one_bot_has_a_data_folder(tmp_path: Path) -> None:
    with (
        tenancy.alone(tmp_path, "easel run"),
        pytest.raises(ConfigError, match="in use by `easel run`"),
        tenancy.alone(tmp_path, "easel bot"),
    ):
        raise AssertionError
    with tenancy.alone(tmp_path, "easel bot"):
        assert "easel bot" in (tmp_path / tenancy.FILE).read_text()


@pytest.mark.usefixtures("windows")
def test_modes_say_nothing(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch()
    file.chmod(0o666)
    assert not private_files.open_to_others(file)
    private_files.make_private(file)
    assert file.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_loop_that_watches_no_signals_is_told_of_them(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    def refuse(*_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(loop, "add_signal_handler", refuse)
    monkeypatch.setattr(loop, "remove_signal_handler", refuse)
    before = [signal.getsignal(each) for each in SIGNALS]
    told = asyncio.Event()
    try:
        watch_signals(loop, told.set)
        signal.raise_signal(number)
        await asyncio.wait_for(told.wait(), 10)
        unwatch_signals(loop)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        for each, handler in zip(SIGNALS, before, strict=True):
            signal.signal(each, handler)
