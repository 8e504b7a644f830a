"""One bot a data folder: a locked file says who has it. The lock goes with its process, however it ends."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from storage.errors import ConfigError
from storage.private_files import make_private_file, make_private_folder

log = logging.getLogger(__name__)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE = "easel.lock"
FAR = 2**20
"""Byte of the file that is locked on Windows, where nobody could read what is: far beyond its text."""


@contextmanager
def alone(folder: Path, command: str) -> Iterator[None]:
    """Hold a data folder for the command of this process.

    Raises:
        ConfigError: another process holds it, or the folder cannot be written.
    """
    with _opened(folder) as file:
        _lock(file, folder)
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        said = f"`{command}` (process {os.getpid()} on {socket.gethostname()}, since {since})\n"
        try:
            # Not by `file`, which would try once more to write what did not fit when it is closed.
            (folder / FILE).write_text(said, encoding="utf-8")
        except OSError as error:
            raise _unusable(folder, error) from None
        yield


def _opened(folder: Path) -> TextIO:
    path = folder / FILE
    try:
        make_private_folder(folder)
        make_private_file(path)
        return path.open("r+", encoding="utf-8")
    except OSError as error:
        raise _unusable(folder, error) from None


def _lock(file: TextIO, folder: Path) -> None:
    try:
        _take(file)
    except BlockingIOError:
        holder = file.read().strip() or "another Easel"
        raise ConfigError(
            f"{folder} is in use by {holder}. Stop that one first, or give this one a data folder of its own "
            "with EASEL_DATA_DIR."
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise _unusable(folder, error) from None
        log.warning("%s is on a file system without locks: see yourself that one bot alone uses it", folder)


def _take(file: TextIO) -> None:
    """Raises:
    BlockingIOError: another process has it.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    file.seek(FAR)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except PermissionError:
        raise BlockingIOError from None
    finally:
        file.seek(0)


def _unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"EASEL_DATA_DIR: {folder} cannot be used: {error.strerror}.")
