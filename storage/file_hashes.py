"""SHA-256 of large files, each read once.

What was found is kept beside Easel's other caches by path, size and time.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from functools import cache
from pathlib import Path

import platformdirs

log = logging.getLogger(__name__)

_HEADER_LENGTH = 8


def sha256(file: Path, *, header: bool = True) -> str:
    """In lower case; without the `header` of what follows that in a `.safetensors` file.

    Raises:
        OSError: the file cannot be read.
    """
    stat = file.stat()
    return _kept(file, stat.st_size, stat.st_mtime_ns, header)


@cache
def _kept(file: Path, size: int, written_ns: int, header: bool) -> str:
    note = _folder() / hashlib.sha256(f"{file.resolve()} {size} {written_ns} {header}".encode()).hexdigest()
    try:
        return note.read_text(encoding="ascii")
    except (OSError, ValueError):
        found = _read(file, header=header)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        part = note.with_suffix(f".{secrets.token_hex(4)}")
        part.write_text(found, encoding="ascii")
        part.replace(note)
    except OSError:
        log.info("the hash of %s is not kept", file, exc_info=True)
    return found


def _folder() -> Path:
    return platformdirs.user_cache_path("easel") / "hashes"


def _read(file: Path, *, header: bool) -> str:
    with file.open("rb") as opened:
        if not header:
            opened.seek(_HEADER_LENGTH + int.from_bytes(opened.read(_HEADER_LENGTH), "little"))
        return hashlib.file_digest(opened, "sha256").hexdigest()
