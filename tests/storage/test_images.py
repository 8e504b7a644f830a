"""The image store keeps pictures whole, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.errors import ConfigError, ImageMissing
from storage.images import ImageStore, key_for


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore((tmp_path / "my images").as_uri())


def test_what_is_saved_is_loaded(store: ImageStore) -> None:
    key = key_for(42, 1, 0)
    assert not store.exists(key)
    store.save(key, b"first")
    store.save(key, b"second")
    assert store.exists(key)
    assert store.load(key) == b"second"
    assert (store.folder / key).read_bytes() == b"second"
    store.delete(key)
    store.delete(key)
    with pytest.raises(ImageMissing) as missing:
        store.load(key)
    assert missing.value.key == key


def test_keys_tell_attempts_apart_and_spread_over_folders() -> None:
    keys = {
        key_for(job, attempt, index) for job in (1, 999, 1000) for attempt in (1, 2) for index in range(4)
    }
    assert len(keys) == 24
    assert key_for(42, 1, 3) == "000000/42/1-3.png"
    assert key_for(12_345, 2, 0) == "000012/12345/2-0.png"


@pytest.mark.parametrize(
    "key", ["../secret.png", "/etc/passwd", "a//b.png", "a/../b.png", "", ".incoming/x.part"]
)
def test_a_key_never_leaves_the_folder(store: ImageStore, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        store.save(key, b"x")
    with pytest.raises(ValueError, match="no key"):
        store.load(key)


def test_a_full_disk_leaves_the_old_picture_and_nothing_else(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("1/a.png", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.save("1/a.png", b"new")
    assert store.load("1/a.png") == b"old"
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == ["a.png"]


WRITER = """
import sys
from storage.images import ImageStore
store = ImageStore(sys.argv[1])
print("ready", flush=True)
while True:
    for byte in b"ab":
        store.save("1/a.png", bytes([byte]) * 3_000_000)
"""


def test_a_writer_that_is_killed_leaves_a_whole_picture(store: ImageStore) -> None:
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, store.folder.as_uri()], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 30
        while not store.exists("1/a.png") and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        data = store.load("1/a.png")
        assert len(data) == 3_000_000
        assert len(set(data)) == 1


def test_what_a_killed_writer_left_is_swept_away_in_time(store: ImageStore) -> None:
    old, young = (store.folder / ".incoming" / name for name in ("old.part", "young.part"))
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    ImageStore(store.folder.as_uri())
    assert [old.exists(), young.exists()] == [False, True]


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"EASEL_IMAGES_URL cannot be used: .*file"):
        ImageStore((tmp_path / "file").as_uri())
