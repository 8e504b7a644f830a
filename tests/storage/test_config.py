"""A wrong setting stops the start with one sentence that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import config
from storage.errors import ConfigError


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's environment, and no `.env`."""
    for name in config.Config.model_fields:
        for variable in (f"EASEL_{name.upper()}", name.upper()):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_need_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "my data"))
    loaded = config.load()
    assert loaded.database == f"sqlite:///{tmp_path / 'my data' / 'easel.db'}"
    assert loaded.broker == "memory://"
    assert loaded.images == (tmp_path / "my data" / "images").as_uri()
    assert loaded.discord_token is None


def test_a_file_beside_gives_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EASEL_WORKER_SLOTS=7\nDISCORD_TOKEN=from-file\n")
    monkeypatch.setenv("DISCORD_TOKEN", "from-environment")
    loaded = config.load()
    assert loaded.worker_slots == 7
    assert loaded.discord_token is not None
    assert loaded.discord_token.get_secret_value() == "from-environment"


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("EASEL_DATABASE_URL", "mysql://easel:hunter2@db/easel", "sqlite"),
        ("EASEL_DATABASE_URL", "hunter2", "sqlite"),
        ("EASEL_BROKER_URL", "kafka://easel:hunter2@broker", "redis"),
        ("EASEL_IMAGES_URL", "s3://hunter2", "file"),
        ("EASEL_WORKER_SLOTS", "many", "integer"),
        ("EASEL_WORKER_SLOTS", "0", "greater"),
        ("EASEL_MEMORY", "0", "greater"),
        ("EASEL_MEMORY", "8 GB", "number"),
        ("EASEL_SAFETY", "maybe", "on"),
        ("EASEL_LOG_LEVEL", "hunter2", "debug"),
    ],
)
def test_a_wrong_value_is_named_and_no_secret_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, hint: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as refusal:
        config.load()
    sentence = str(refusal.value)
    assert sentence.startswith(f"{variable} cannot be used: ")
    assert hint in sentence
    assert "hunter2" not in sentence
    assert "\n" not in sentence
    assert sentence.count(". ") == 0


def test_a_folder_of_images_may_be_a_plain_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EASEL_IMAGES_URL", str(tmp_path / "my pictures"))
    assert config.load().images == (tmp_path / "my pictures").as_uri()


def test_a_token_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    monkeypatch.setenv("DISCORD_TOKEN_FILE", str(tmp_path / "token"))
    token = config.load().discord_token
    assert token is not None
    assert token.get_secret_value() == "from-a-file"
    monkeypatch.setenv("DISCORD_TOKEN_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"DISCORD_TOKEN_FILE cannot be used: .*nowhere"):
        config.load()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgres_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("EASEL_DATABASE_URL", f"{scheme}://easel:p%40ss@db:5432/easel")
    assert config.load().database == "postgresql+psycopg://easel:p%40ss@db:5432/easel"


def test_nothing_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "hunter2")
    monkeypatch.setenv("EASEL_DATABASE_URL", "postgresql+psycopg://easel:hunter2@db/easel")
    monkeypatch.setenv("EASEL_BROKER_URL", "redis://:hunter2@broker")
    assert "hunter2" not in repr(config.load())
