"""What a member's data is handed over in: ZIP files, each made when the one before is on its way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bot import archives
from bot.archives import Entry, Group
from bot.messages import privacy as said
from bot.uploads import MARGIN, Upload
from storage import belongings
from storage.backends import Backends
from storage.tables import UPLOAD_LIMIT, Export, Image, Member

T = TypeVar("T")

PARTS, PARTS_BY_TOKEN = 10, 4
"""Archives in one answer; where only the member installed Easel, Discord takes five messages."""
ROWS = 2000
LETTERS = 4_000_000
"""Rows, or characters, of one JSON file."""


@dataclass(frozen=True)
class Parcel:
    """One archive, or none where nothing fits, and what is said with it."""

    place: int
    content: str
    upload: Upload | None
    next_after: int | None
    """The picture after which the next answer begins; None where this is not the last of this one's."""


def parcels(backends: Backends, row: Export, go_on: Callable[[], None]) -> Iterator[Parcel]:
    """What one answer has: all rows, if it is the first, and pictures, as many as its archives hold.

    `go_on` is called every now and then, and may raise.
    """
    most = PARTS_BY_TOKEN if row.user_install else PARTS
    # Small enough for direct messages too, whatever the server allows: it may end there.
    limit = min(row.upload_limit, UPLOAD_LIMIT) - MARGIN
    cursor = row.after or 0
    for place, group in enumerate(archives.grouped(_entries(backends, row, go_on), limit)):
        following = group.following
        full = following is not None and not following.deflated and place + 1 >= most
        cursor = _last(group, cursor)
        yield _parcel(row, place, group, cursor if full else None)
        if full:
            return


def _last(group: Group, before: int) -> int:
    """The picture after which what follows the group begins."""
    ids = [entry.image_id for entry in group.entries if entry.image_id is not None]
    return ids[-1] if ids else before


def _parcel(row: Export, place: int, group: Group, next_after: int | None) -> Parcel:
    archive = archives.pack(group.entries)
    content = said.exported(
        begins=row.after is None and place == 0,
        more=next_after is not None,
        missing=archive.lost,
        too_large=len(group.left_out),
    )
    name = f"easel_data_{row.after or 0}_{place + 1}.zip"
    upload = Upload(name, archive.data) if len(group.entries) > archive.lost else None
    return Parcel(place, content, upload, next_after)


def _entries(backends: Backends, row: Export, go_on: Callable[[], None]) -> Iterator[Entry]:
    database, member_id = backends.database, row.member_id
    with database.reading() as session:
        member = session.get(Member, member_id)
    name = "" if member is None else member.name
    if row.after is None:
        yield from _documents(_going_on(belongings.rows(database, member_id), go_on))
    found = _going_on(belongings.pictures(database, member_id, row.after or 0), go_on)
    begun_job = _job_of(backends, row.after)
    for job, its in itertools.groupby(found, key=lambda pair: pair[1]):
        if job.movie_key is not None and job.id != begun_job:
            yield Entry.of_movie(backends.images, job, job.movie_key, name)
        for image, _ in its:
            yield Entry.of_picture(backends.images, job, image, name)


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


def _documents(rows: Iterable[tuple[str, Sequence[dict[str, Any]]]]) -> Iterator[Entry]:
    """JSON files of rows, a table's after the other; several where a table has many."""
    for name, pages in itertools.groupby(rows, key=lambda page: page[0]):
        texts = _texts(row for _, page in pages for row in page)
        first, second = next(texts), next(texts, None)
        if second is None:
            yield Entry.of_text(f"{name}.json", first)
            continue
        for number, text in enumerate(itertools.chain((first, second), texts), 1):
            yield Entry.of_text(f"{name}_{number}.json", text)


def _texts(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Arrays of JSON, a row a line."""
    lines: list[str] = []
    length = 0
    for row in rows:
        lines.append(json.dumps(row, ensure_ascii=False))
        length += len(lines[-1])
        if len(lines) == ROWS or length > LETTERS:
            yield _array(lines)
            lines, length = [], 0
    if lines:
        yield _array(lines)


def _array(lines: Sequence[str]) -> str:
    return "[\n" + ",\n".join(lines) + "\n]\n"
