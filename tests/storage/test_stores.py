"""Which folder has a database's pictures: settled once, and whoever has another one is told."""

from __future__ import annotations

import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage import images, stores
from storage.database import Database
from storage.errors import ConfigError
from storage.images import ImageStore


def store_at(folder: Path) -> ImageStore:
    return ImageStore(folder.as_uri())


def test_the_first_settles_it_and_the_same_folder_is_right_ever_after(
    database: Database, tmp_path: Path
) -> None:
    store = store_at(tmp_path / "pictures")
    assert store.marker() is None
    for _ in range(2):
        stores.settle(database, store)
    assert store.marker()
    (tmp_path / "pictures").rename(tmp_path / "moved")
    stores.settle(database, store_at(tmp_path / "moved"))


@pytest.mark.parametrize("marked", [False, True])
def test_another_folder_is_refused_with_both_names(database: Database, tmp_path: Path, marked: bool) -> None:
    right, wrong = store_at(tmp_path / "right"), store_at(tmp_path / "wrong")
    stores.settle(database, right)
    if marked:
        wrong.mark()
    before = wrong.marker()
    with pytest.raises(ConfigError) as refused:
        stores.settle(database, wrong)
    sentence = str(refused.value)
    assert sentence.startswith("EASEL_IMAGES_URL: ")
    assert str(wrong.folder) in sentence
    assert f"{right.folder} on {socket.gethostname()}" in sentence
    assert "easel db adopt" in sentence
    assert wrong.marker() == before, "nothing is written where nothing belongs"


def test_a_copy_with_its_marker_is_right(database: Database, tmp_path: Path) -> None:
    stores.settle(database, store_at(tmp_path / "pictures"))
    shutil.copytree(tmp_path / "pictures", tmp_path / "restored")
    stores.settle(database, store_at(tmp_path / "restored"))
    with database.reading() as session:
        assert stores.mismatch(session, store_at(tmp_path / "restored")) is None
        assert stores.mismatch(session, store_at(tmp_path / "empty")) is not None


def test_a_new_database_takes_a_store_as_it_is(database: Database, tmp_path: Path) -> None:
    store = store_at(tmp_path / "pictures")
    marker = store.mark()
    stores.settle(database, store)
    assert store.marker() == marker


def test_pictures_that_moved_without_their_marker_are_adopted(database: Database, tmp_path: Path) -> None:
    old, new = store_at(tmp_path / "old"), store_at(tmp_path / "new")
    stores.settle(database, old)
    with database.writing() as session:
        stores.adopt(session, new)
    stores.settle(database, new)
    with pytest.raises(ConfigError):
        stores.settle(database, old)


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_mark_at_once_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links on this file system")

    store = store_at(tmp_path)
    if not links:
        monkeypatch.setattr(os, "link", refuse)
        store.mark()
    with ThreadPoolExecutor(8) as threads:
        markers = set(threads.map(lambda _: store.mark(), range(32)))
    assert markers == {store.marker()}
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_of_many_that_start_at_once_one_settles_it(database: Database, tmp_path: Path) -> None:
    """Bot and workers of a fresh installation, one of them with a folder of its own."""

    def settle(number: int) -> bool:
        try:
            stores.settle(database, store_at(tmp_path / ("wrong" if number == 3 else "right")))
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        settled = list(threads.map(settle, range(6)))
    assert sorted({(index == 3, right) for index, right in enumerate(settled)}) in (
        [(False, True), (True, False)],
        [(False, False), (True, True)],
    )


def test_a_store_that_takes_no_marker_says_so(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        stores.settle(database, store)
    assert not (tmp_path / images.MARKER).exists()
