"""ZIP files that hand over a member's data, each made when the one before is on its way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bot.discord_io import archives
from bot.discord_io.archives import ArchiveEntry, ArchiveGroup
from bot.discord_io.uploads import MARGIN, Upload
from bot.messages import privacy as sentences
from storage import belongings
from storage.backends import Backends
from storage.tables import UPLOAD_LIMIT, Export, Image, Member

T = TypeVar("T")

PARTS, PARTS_BY_TOKEN = 10, 4
"""Archives in one answer; where only the member installed Easel, Discord takes five messages."""
ROWS = 2000
CHARACTERS = 4_000_000
"""Rows, or characters, of one JSON file."""


@dataclass(frozen=True)
class ExportArchive:
    """One archive, or none where nothing fits, and what is said with it."""

    place: int
    content: str
    upload: Upload | None = None
    cursor: int | None = None
    """The picture after which what follows begins; None while rows are left."""
    ends: bool = False
    """True for the last of this answer's, if more is to come in the next one."""

    @property
    def next_after(self) -> int | None:
        """The picture after which the next answer begins; None where this is not the last of this one's."""
        return self.cursor if self.ends else None


def parcels(backends: Backends, row: Export, go_on: Callable[[], None]) -> Iterator[ExportArchive]:
    """Archives of one answer: all rows, if it is the first, and pictures, as many as its archives hold.

    Where some was sent before, it goes on after the last picture of that: what is deleted in between moves
    the borders of archives. `go_on` is called every now and then, and may raise.
    """
    most = PARTS_BY_TOKEN if row.user_install else PARTS
    # Small enough for direct messages too, whatever the server allows: it may end there.
    limit = min(row.upload_limit, UPLOAD_LIMIT) - MARGIN
    if row.cursor is not None and row.sent >= most:
        return
    begun = row.after if row.cursor is None else row.cursor
    place, last = row.sent, begun or 0
    for number, group in enumerate(archives.grouped(_entries(backends, row, begun, go_on), limit)):
        in_rows = group.following is not None and group.following.deflated
        if in_rows and number < row.sent:
            continue
        if place and not (group.entries or group.left_out):
            return
        last = group.last_id or last
        ends = group.following is not None and not in_rows and place + 1 >= most
        yield _parcel(row, place, group, None if in_rows else last, ends=ends)
        if ends:
            return
        place += 1


def _parcel(row: Export, place: int, group: ArchiveGroup, cursor: int | None, *, ends: bool) -> ExportArchive:
    archive = archives.pack(group.entries)
    content = sentences.exported(
        begins=row.after is None and place == 0,
        more=ends,
        missing=archive.lost,
        too_large=len(group.left_out),
    )
    name = f"easel_data_{row.after or 0}_{place + 1}.zip"
    upload = Upload(name, archive.data) if len(group.entries) > archive.lost else None
    return ExportArchive(place, content, upload, cursor, ends)


def _entries(
    backends: Backends, row: Export, begun: int | None, go_on: Callable[[], None]
) -> Iterator[ArchiveEntry]:
    """Rows, unless a picture is given after which to begin; and pictures."""
    database, member_id = backends.database, row.member_id
    with database.reading() as session:
        member = session.get(Member, member_id)
    name = "" if member is None else member.name
    if begun is None:
        yield from _documents(_going_on(belongings.rows(database, member_id), go_on))
    found = _going_on(belongings.pictures(database, member_id, begun or 0), go_on)
    begun_job = _job_of(backends, begun)
    for job, its in itertools.groupby(found, key=lambda pair: pair[1]):
        if job.movie_key is not None and job.id != begun_job:
            yield ArchiveEntry.of_movie(backends.images, job, job.movie_key, name)
        for image, _ in its:
            yield ArchiveEntry.of_picture(backends.images, job, image, name)


def _job_of(backends: Backends, image_id: int | None) -> int | None:
    """The job of which a part of the pictures was handed over before."""
    if not image_id:
        return None
    with backends.database.reading() as session:
        image = session.get(Image, image_id)
    return None if image is None else image.job_id


def _going_on(things: Iterable[T], go_on: Callable[[], None]) -> Iterator[T]:
    for thing in things:
        go_on()
        yield thing


def _documents(rows: Iterable[tuple[str, Sequence[dict[str, Any]]]]) -> Iterator[ArchiveEntry]:
    """JSON files of rows, a table's after the other; several where a table has many."""
    for name, pages in itertools.groupby(rows, key=lambda page: page[0]):
        texts = _texts(row for _, page in pages for row in page)
        first, second = next(texts), next(texts, None)
        if second is None:
            yield ArchiveEntry.of_text(f"{name}.json", first)
            continue
        for number, text in enumerate(itertools.chain((first, second), texts), 1):
            yield ArchiveEntry.of_text(f"{name}_{number}.json", text)


def _texts(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Arrays of JSON, a row a line."""
    lines: list[str] = []
    length = 0
    for row in rows:
        lines.append(json.dumps(row, ensure_ascii=False))
        length += len(lines[-1])
        if len(lines) == ROWS or length > CHARACTERS:
            yield _array(lines)
            lines, length = [], 0
    if lines:
        yield _array(lines)


def _array(lines: Sequence[str]) -> str:
    return "[\n" + ",\n".join(lines) + "\n]\n"
