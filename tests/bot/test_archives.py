"""ZIP files that stay below Discord's limit."""

from __future__ import annotations

import io
import random
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from bot.discord_io.archives import ArchiveEntry, pack, split
from storage.errors import ImageMissing


def _entry(number: int, size: int, *, deflated: bool = False) -> ArchiveEntry:
    data = random.Random(number).randbytes(size)
    return ArchiveEntry(f"{'picture_' * 10}{number}.png", size, lambda: data, deflated)


@given(st.lists(st.integers(0, 5000), max_size=20), st.integers(1200, 8000))
def test_every_archive_fits_and_nothing_is_forgotten(sizes: list[int], limit: int) -> None:
    entries = [_entry(number, size) for number, size in enumerate(sizes)]
    groups, left_out = split(entries, limit)
    assert [entry for group in groups for entry in group] == [
        entry for entry in entries if entry not in left_out
    ]
    assert all(entry.size > limit - 1024 for entry in left_out)
    for group in groups:
        data = pack(group).data
        assert len(data) <= limit
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.namelist() == [entry.name for entry in group]
            assert [archive.read(entry.name) for entry in group] == [entry.load() for entry in group]


def test_text_is_counted_as_it_is_compressed() -> None:
    text = ArchiveEntry.of_text("jobs.json", "a red castle " * 10_000)
    assert text.size < 1000
    ((group,), left_out) = split([text], 4000)
    assert left_out == []
    assert len(pack([*group]).data) < 4000


def test_lost_pictures_are_counted() -> None:
    def lost() -> bytes:
        raise ImageMissing("000000/1/1-0.png")

    archive = pack([ArchiveEntry("lost.png", 10, lost), _entry(1, 10)])
    assert archive.lost == 1
    with zipfile.ZipFile(io.BytesIO(archive.data)) as opened:
        assert len(opened.namelist()) == 1
