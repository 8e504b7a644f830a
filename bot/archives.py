"""ZIP files of members' pictures, each small enough to send."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from bot import messages
from storage.errors import ImageMissing
from storage.images import ImageStore
from storage.tables import Image, Job

_FRAME = 512
"""Bytes of an archive that an entry takes beside its data, its name in both places included; at most."""


@dataclass(frozen=True)
class Entry:
    """A file to be; `size` is the bytes it takes in the archive."""

    name: str
    size: int
    load: Callable[[], bytes]
    """Raises ImageMissing where the store has lost it."""
    deflated: bool = False
    image_id: int | None = None

    @classmethod
    def of_picture(cls, store: ImageStore, job: Job, image: Image, member: str) -> Self:
        """An original as the store has it. A picture gains nothing by compression."""
        stem, _, extension = messages.file_name(member, job.text, job.id).rpartition(".")
        name = f"{stem}_{image.index + 1}.{extension}"
        return cls(name, image.size, lambda: store.load(image.key), image_id=image.id)

    @classmethod
    def of_movie(cls, store: ImageStore, job: Job, key: str, member: str) -> Self:
        """The movie of a job's forming pictures."""
        stem = messages.file_name(member, job.text, job.id).rpartition(".")[0]
        return cls(f"{stem}{PurePosixPath(key).suffix}", store.size(key), lambda: store.load(key))

    @classmethod
    def of_text(cls, name: str, text: str) -> Self:
        data = text.encode()
        return cls(name, len(zlib.compress(data)), lambda: data, deflated=True)


def split(entries: Iterable[Entry], limit: int) -> tuple[list[list[Entry]], list[Entry]]:
    """Groups of entries, in order, whose archives have at most `limit` bytes; and the entries too large."""
    groups: list[list[Entry]] = []
    left_out = []
    room = 0
    for entry in entries:
        needed = entry.size + _FRAME
        if needed > limit - _FRAME:
            left_out.append(entry)
            continue
        if needed > room:
            groups.append([])
            room = limit - _FRAME
        groups[-1].append(entry)
        room -= needed
    return groups, left_out


@dataclass(frozen=True)
class Archive:
    data: bytes
    lost: int
    """Pictures that the store has not any more."""


def pack(entries: Sequence[Entry]) -> Archive:
    """The entries' files in one ZIP file."""
    out = io.BytesIO()
    lost = 0
    with zipfile.ZipFile(out, "w") as archive:
        for entry in entries:
            try:
                data = entry.load()
            except ImageMissing:
                lost += 1
                continue
            kind = zipfile.ZIP_DEFLATED if entry.deflated else zipfile.ZIP_STORED
            archive.writestr(entry.name, data, kind)
    return Archive(out.getvalue(), lost)
