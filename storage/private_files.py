"""Folders and files that only the user who runs Easel may read, and files that are made once."""

from __future__ import annotations

import os
from pathlib import Path

_OTHERS = 0o077
_HAS_MODES = os.name == "posix"
"""Windows shows a mode of its own making; there a user's folders are the user's by its access lists."""


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner alone.

    One that is there already keeps its permissions: its owner may share it on purpose.

    Raises:
        OSError: it cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        # Not mkdir's `parents`: those would get the process's own permissions.
        each.mkdir(mode=0o700, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file for its owner alone; take one that is there, and is ours, away from others' eyes.

    Raises:
        OSError: it cannot be made.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    make_private(path)


def make_private(path: Path) -> None:
    """Take a file, if it is there and ours, away from others' eyes."""
    try:
        status = path.stat()
        if _HAS_MODES and status.st_mode & _OTHERS and status.st_uid == os.getuid():
            path.chmod(0o600)
    except FileNotFoundError:
        return


def rename_once(part: Path, path: Path) -> None:
    """Give a finished file its name, unless one has it; of several that try at once, one succeeds.

    Raises:
        OSError: it cannot be written.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        if not path.exists():
            part.replace(path)


def open_to_others(path: Path) -> bool:
    """True if users other than the owner may read, write or enter a file or folder."""
    return _HAS_MODES and bool(path.stat().st_mode & _OTHERS)
