"""Things that can be fetched and added: their files, and what their site says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from storage.errors import FetchError


@dataclass(frozen=True)
class RemoteFile:
    """A file that may be fetched; `name` is its path below the folder in which it comes to lie."""

    name: str
    size: int | None = None
    """Bytes, or about so many; None where nobody says."""
    sha256: str | None = None
    url: str = ""


Advance = Callable[[int], None]
"""Told of bytes as they come."""


class Fetch(Protocol):
    """Brings a file to its place, whole and checked, or raises FetchError and leaves what goes on later."""

    def __call__(self, file: RemoteFile, target: Path, advance: Advance) -> None: ...


@dataclass(frozen=True)
class Offered:
    """A model, or something to be added to one. Nothing of it has been fetched yet."""

    title: str
    files: Sequence[RemoteFile]
    fetch: Fetch
    single: bool
    """One file, not a folder of several."""
    kind: str | None = None
    """One of `kinds.KINDS`, where its site says it."""
    made_for: str = ""
    """The base model in its site's words."""
    license: str = ""
    trigger: str = ""
    description: str = ""
    nsfw: bool = False

    @property
    def size(self) -> int:
        """Bytes in all, as far as is known."""
        return sum(file.size or 0 for file in self.files)


def entry_name(title: str) -> str:
    """A name for the catalog, which members can type: `DreamShaper XL v2.1` is `dreamshaper-xl-v2.1`."""
    name = re.sub(r"[^a-z0-9._-]+", "-", title.casefold()).strip("-._")[:40].rstrip("-._")
    if not name:
        raise FetchError(f"No name can be made of {title!r}: say one with --name.")
    return name


def one_line(text: str, most: int) -> str:
    """Text of a site as a catalog's entry and a terminal take it: without control characters, clipped."""
    said = "".join(letter for letter in text if letter.isprintable() or letter.isspace())
    return " ".join(said.split())[:most].strip()


def safe_name(name: str) -> str:
    """A file's name as a site says it, if it stays below its folder.

    Raises:
        FetchError: it would lie elsewhere.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if not name or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise FetchError(f"The file's name {name!r} is refused: it does not stay in its folder.")
    return str(path)
