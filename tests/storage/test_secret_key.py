"""The installation's key: configured, or made once in the data folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from storage import secret_key
from storage.config import Config, load
from storage.errors import ConfigError

LONG = "a key of more than 32 characters, all of them known"


def _config(data_dir: Path, key: str | None = None) -> Config:
    return Config(data_dir=data_dir, key=SecretStr(key) if key else None)


def test_the_first_process_makes_it_and_all_others_find_it(tmp_path: Path) -> None:
    config = _config(tmp_path / "data")
    with ThreadPoolExecutor(8) as starts:
        keys = list(starts.map(lambda _: secret_key.load(config).derive("events"), range(16)))
    assert len(set(keys)) == 1
    kept = secret_key.kept_in(config.data_dir)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert config.data_dir.stat().st_mode & 0o777 == 0o700
    assert list(config.data_dir.iterdir()) == [kept]


def test_it_is_made_where_files_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError("Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    config = _config(tmp_path)
    assert secret_key.load(config).derive("events") == secret_key.load(config).derive("events")


def test_each_purpose_has_a_key_of_its_own(tmp_path: Path) -> None:
    key = secret_key.load(_config(tmp_path))
    assert key.derive("events") == key.derive("events")
    assert len({key.derive("events"), key.derive("audit"), key.derive("")}) == 3
    assert len(key.derive("events")) == 32
    assert secret_key.load(_config(tmp_path / "another")).derive("events") != key.derive("events")


def test_the_configured_one_is_used_and_none_made(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{LONG}\n")
    by_value = secret_key.load(_config(tmp_path / "data", LONG))
    by_file = secret_key.load(load(data_dir=tmp_path / "data", key_file=file))
    assert by_value.derive("events") == by_file.derive("events")
    assert not (tmp_path / "data").exists()


def test_it_is_not_shown(tmp_path: Path) -> None:
    config = _config(tmp_path, LONG)
    assert LONG not in repr(secret_key.load(config)) + repr(config) + str(vars(secret_key.load(config)))


@pytest.mark.parametrize("setting", ["key", "key_file"])
def test_a_short_one_is_refused_without_being_told(setting: str, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("hunter2")
    value = "hunter2" if setting == "key" else tmp_path / "short"
    with pytest.raises(ConfigError, match="32 characters") as refusal:
        load(**{setting: value})
    assert "hunter2" not in str(refusal.value)


def test_an_emptied_file_is_named(tmp_path: Path) -> None:
    secret_key.kept_in(tmp_path).write_text("")
    with pytest.raises(ConfigError, match="delete it"):
        secret_key.load(_config(tmp_path))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Not a directory"):
        secret_key.load(_config(tmp_path / "file" / "data"))
