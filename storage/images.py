"""The image store: original pictures by key. The database names them; Discord's links are never stored."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from storage.errors import ConfigError, ImageMissing
from storage.private_files import make_private_folder, rename_once

_KEY = re.compile(r"[0-9A-Za-z_-]+(/[0-9A-Za-z_-]+)*\.[a-z0-9]+")
_ABANDONED_S = 3600
LEAST_FREE = 64 * 2**20
"""Bytes: with less of them left nothing is drawn, for it might not find room."""
GRID_BYTES = 12 * 2**20
"""Four pictures of 1024 × 1024 pixels are no larger, whatever they show."""
MARKER = "easel-store.txt"
"""The file that says which store a folder is, wherever it is moved to or mounted."""
_MARKED = "{marker}\nAn installation of Easel keeps its pictures here, and knows them by this file.\n"
INCOMING = "incoming/"
"""Prefix of the keys of pictures that members brought."""
COMPOSED = "inputs/"
"""Prefix of the keys of pictures that were composed for a job: canvases and masks."""


def key_for(job_id: int, attempt: int, index: int) -> str:
    """Key of an attempt's picture; another attempt of the same job never overwrites it."""
    return f"{_folder_of(job_id)}/{attempt}-{index}.png"


def movie_key_for(job_id: int, attempt: int) -> str:
    """Key of an attempt's movie."""
    return f"{_folder_of(job_id)}/{attempt}-movie.webp"


def _folder_of(job_id: int) -> str:
    return f"{job_id // 1000:06d}/{job_id}"


_OF_JOB = re.compile(r"\d{6,}/(\d+)/[^/]+")


def job_of(key: str) -> int | None:
    """The job of which a file was kept; None for one that a job starts from."""
    found = _OF_JOB.fullmatch(key)
    return None if found is None else int(found[1])


@dataclass(frozen=True)
class Kept:
    """A file of the store; `at` is when it was last written, in epoch seconds of the store's own clock."""

    key: str
    at: float


class ImageStore:
    """Pictures in a folder, given as a `file://` URL.

    A picture is there whole or not at all: it is written beside, forced to the disk, and then renamed.
    """

    def __init__(self, url: str) -> None:
        """Make the folder.

        Raises:
            ConfigError: when it cannot be written to.
        """
        self.folder = Path(url2pathname(urlsplit(url).path))
        self._incoming = self.folder / ".incoming"
        try:
            make_private_folder(self._incoming)
        except OSError as error:
            raise ConfigError(f"EASEL_IMAGES_URL cannot be used: {self.folder}: {error.strerror}.") from None
        if not os.access(self._incoming, os.W_OK):
            raise ConfigError(f"EASEL_IMAGES_URL cannot be used: {self.folder} is not writable.")
        self._drop_abandoned()

    def save(self, key: str, data: bytes) -> None:
        """Keep a picture; one of the same key is replaced.

        Raises:
            OSError: the disk is full, or gone.
        """
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._part(data) as part:
            part.replace(target)
        _sync_folder(target.parent)

    def marker(self) -> str | None:
        """Identity of the store; None if it was never marked, or is another folder than was meant."""
        try:
            return (self.folder / MARKER).read_text(encoding="utf-8").partition("\n")[0]
        except FileNotFoundError:
            return None

    def mark(self) -> str:
        """Mark the store, unless it is; several may try at once. Returns the marker.

        Raises:
            OSError: it cannot be written.
        """
        file = self.folder / MARKER
        with self._part(_MARKED.format(marker=secrets.token_hex(16)).encode()) as part:
            rename_once(part, file)
        _sync_folder(self.folder)
        return file.read_text(encoding="utf-8").partition("\n")[0]

    def nearly_full(self) -> bool:
        """True if the disk has so little left that a grid may not fit."""
        try:
            return shutil.disk_usage(self.folder).free < LEAST_FREE
        except OSError:
            return True

    def has_room(self, size: int = 0) -> bool:
        """Try to keep a grid's bytes, or `size` if that is more: the disk does not tell of a quota."""
        if self.nearly_full():
            return False
        try:
            # Of noise: a file system that compresses has room for any zeroes.
            with self._part(os.urandom(max(size, GRID_BYTES))):
                return True
        except OSError:
            return False

    def load(self, key: str) -> bytes:
        """The picture's bytes.

        Raises:
            ImageMissing: it is not there.
        """
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise ImageMissing(key) from None

    def size(self, key: str) -> int:
        """The bytes of a picture or movie; 0 where it is not there."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return 0

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Remove a picture; one that is not there is no error."""
        self._path(key).unlink(missing_ok=True)

    def delete_job(self, job_id: int) -> None:
        """Remove whatever was kept of a job, by any of its attempts."""
        shutil.rmtree(self.folder / _folder_of(job_id), ignore_errors=True)

    def older_than(self, age_s: float) -> Iterator[Kept]:
        """The files that are older, looked for as they are asked for: there may be millions.

        What is not laid out as pictures are is passed over.
        """
        before = self._now() - age_s
        tops = sorted(entry.name for entry in os.scandir(self.folder) if entry.is_dir())
        for top in tops:
            if top.isdecimal() or f"{top}/" in (INCOMING, COMPOSED):
                yield from self._older(top, before)

    def _older(self, folder: str, before: float) -> Iterator[Kept]:
        with os.scandir(self.folder / folder) as entries:
            for entry in entries:
                key = f"{folder}/{entry.name}"
                try:
                    if entry.is_dir(follow_symlinks=False):
                        yield from self._older(key, before)
                    elif _KEY.fullmatch(key) and (at := entry.stat().st_mtime) < before:
                        yield Kept(key, at)
                except FileNotFoundError:
                    continue

    def _now(self) -> float:
        """By the clock that dates the files, which may be another machine's."""
        probe = self._incoming / f"{secrets.token_hex(8)}.part"
        try:
            probe.touch()
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    @contextmanager
    def _part(self, data: bytes) -> Iterator[Path]:
        """A file of its own with this in it, forced to the disk; whoever wants to keep it moves it away."""
        part = self._incoming / f"{secrets.token_hex(8)}.part"
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield part
        finally:
            part.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"no key of the image store: {key!r}")
        return self.folder / key

    def _drop_abandoned(self) -> None:
        """Files that a process left behind that was killed while writing."""
        for part in self._incoming.glob("*.part"):
            try:
                if time.time() - part.stat().st_mtime > _ABANDONED_S:
                    part.unlink()
            except FileNotFoundError:
                continue


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
