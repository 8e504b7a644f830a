from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from storage import config
from storage.config import Config
from storage.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / ".env.example"
SECRET = "hunter2"


def _named() -> list[str]:
    return re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_example_has_one_line_for_each_setting() -> None:
    of_compose = ["COMPOSE_PROFILES", "POSTGRES_PASSWORD", "REDIS_PASSWORD"]
    of_sites = ["CIVITAI_TOKEN", "HF_TOKEN"]
    own = map(config.variable, Config.model_fields)
    assert sorted(_named()) == sorted([*own, *of_compose, *of_sites])


def test_every_line_of_the_example_says_what_it_is_for() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if re.match(r"#?[A-Z_]+=", line):
            assert re.match(r"# \S.*[.…)]$", before), line


def test_the_example_itself_is_a_good_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.sub(r"^#([A-Z_]+=)", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    token = tmp_path / "token"
    token.write_text("of-the-file\n")
    key = tmp_path / "key"
    key.write_text("k" * 40)
    text = text.replace("/run/secrets/discord_token", str(token)).replace("/run/secrets/easel_key", str(key))
    (tmp_path / ".env").write_text(text)
    monkeypatch.chdir(tmp_path)
    settings = config.load()
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == "of-the-file"
    assert settings.broker == "redis://:PASSWORD@127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("EASEL_DATABASE_URL", f"mysql://easel:{SECRET}@db/easel"),
        ("EASEL_BROKER_URL", f"kafka://:{SECRET}@broker"),
        ("EASEL_IMAGES_URL", "ftp://pictures"),
        ("EASEL_SAFETY", "maybe"),
        ("EASEL_WORKER_SLOTS", "0"),
        ("EASEL_WORKER_SLOTS", "many"),
        ("EASEL_LOG_LEVEL", "loud"),
        ("DISCORD_TOKEN_FILE", "/nowhere/token"),
    ],
)
def test_a_wrong_value_stops_the_start_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as stopped:
        config.load()
    sentence = str(stopped.value)
    assert sentence.startswith(f"{variable} cannot be used: ")
    assert "\n" not in sentence
    assert SECRET not in sentence
