"""ZIP files of members' pictures, each small enough to send."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Self

from prompts import markdown
from storage.errors import ImageMissing
from storage.images import ImageStore
from storage.tables import Image, Job

_FRAME = 512
"""Bytes of an archive that an entry takes beside its data, its name in both places included; at most."""


@dataclass(frozen=True)
class ArchiveEntry:
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
        stem, _, extension = markdown.file_name(member, job.text, job.id).rpartition(".")
        name = f"{stem}_{image.index + 1}.{extension}"
        return cls(name, image.size, lambda: store.load(image.key), image_id=image.id)

    @classmethod
    def of_movie(cls, store: ImageStore, job: Job, key: str, member: str) -> Self:
        """The movie of a job's forming pictures."""
        stem = markdown.file_name(member, job.text, job.id).rpartition(".")[0]
        return cls(f"{stem}{PurePosixPath(key).suffix}", store.size(key), lambda: store.load(key))

    @classmethod
    def of_text(cls, name: str, text: str) -> Self:
        # Kept small: an archive's worth of rows is ten times as large.
        small = zlib.compress(text.encode())
        return cls(name, len(small), lambda: zlib.decompress(small), deflated=True)


@dataclass
class ArchiveGroup:
    """Entries that fit one archive, and what was met on the way to them."""

    entries: list[ArchiveEntry] = field(default_factory=list)
    left_out: list[ArchiveEntry] = field(default_factory=list)
    """Too large for any."""
    following: ArchiveEntry | None = None
    """First image of the next group; None for the last one."""
    last_id: int | None = None
    """The last picture among them, too large or not."""


def grouped(entries: Iterable[ArchiveEntry], limit: int) -> Iterator[ArchiveGroup]:
    """Groups of entries, in order, whose archives have at most `limit` bytes; made as they are asked for."""
    group, room = ArchiveGroup(), limit - _FRAME
    for entry in entries:
        needed = entry.size + _FRAME
        if needed > limit - _FRAME:
            group.left_out.append(entry)
        else:
            if needed > room:
                group.following = entry
                yield group
                group, room = ArchiveGroup(), limit - _FRAME
            group.entries.append(entry)
            room -= needed
        group.last_id = entry.image_id or group.last_id
    yield group


def split(entries: Iterable[ArchiveEntry], limit: int) -> tuple[list[list[ArchiveEntry]], list[ArchiveEntry]]:
    """All groups that have entries; and the entries too large for any."""
    groups = list(grouped(entries, limit))
    left_out = [entry for group in groups for entry in group.left_out]
    return [group.entries for group in groups if group.entries], left_out


@dataclass(frozen=True)
class Archive:
    data: bytes
    lost: int
    """Pictures that the store has not any more."""


def pack(entries: Sequence[ArchiveEntry]) -> Archive:
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
