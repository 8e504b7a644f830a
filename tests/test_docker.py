"""The container files, as far as they can be judged without an engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from kombu.utils.url import url_to_parts
from sqlalchemy import make_url
from typer.testing import CliRunner

from easel.__main__ import app
from storage import config
from storage.config import Config

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def test_it_is_a_compose_file(compose: dict[str, Any]) -> None:
    services = PyCompose.from_json(json.dumps(compose)).service_names()
    assert set(services) == {"postgres", "redis", "migrate", "bot", "worker", "worker-cpu"}


def _easel_commands(compose: dict[str, Any]) -> list[list[str]]:
    ours = [service for service in compose["services"].values() if service["image"].startswith("easel")]
    checks = [service["healthcheck"]["test"][2:] for service in ours if "test" in service["healthcheck"]]
    return [*(service["command"] for service in ours), *checks]


def test_its_commands_are_commands_of_easel(compose: dict[str, Any]) -> None:
    commands = _easel_commands(compose)
    assert ["db", "upgrade"] in commands
    for command in commands:
        answer = CliRunner().invoke(app, [*command, "--help"])
        assert answer.exit_code == 0, answer.output


def test_its_variables_are_settings(compose: dict[str, Any]) -> None:
    known = {config.variable(field) for field in Config.model_fields}
    for name in ("migrate", "bot", "worker", "worker-cpu"):
        used = {
            key for key in compose["services"][name]["environment"] if key.startswith(("EASEL_", "DISCORD_"))
        }
        assert used <= known
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")):
        assert re.search(rf"^#?{name}=", example, re.MULTILINE), name


def test_its_settings_make_a_configuration(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "discord_token"
    token.write_text("the-token")
    for name in list(os.environ):
        if name.startswith(("EASEL_", "DISCORD_")):
            monkeypatch.delenv(name)
    for key, value in compose["services"]["bot"]["environment"].items():
        value = re.sub(r"\$\{\w+_PASSWORD:\?[^}]*\}", "p@s/s#w%4:d", str(value))
        monkeypatch.setenv(key, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value))
    monkeypatch.setenv("DISCORD_TOKEN_FILE", str(token))
    settings = config.load()
    database, broker = make_url(settings.database), url_to_parts(settings.broker)
    assert (database.username, database.password) == ("easel", "p@s/s#w%4:d")
    assert (database.host, database.port, database.database) == ("postgres", 5432, "easel")
    assert (broker.hostname, broker.port, broker.password, broker.path) == (
        "redis", 6379, "p@s/s#w%4:d", "0",
    )  # fmt: skip
    assert settings.images == "file:///data/images"


def test_nobody_speaks_to_redis_without_its_password(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    password = redis["environment"]["REDISCLI_AUTH"]
    assert password.startswith("${REDIS_PASSWORD:?")
    assert '--requirepass "$$REDISCLI_AUTH"' in redis["command"][-1]
    assert compose["services"]["bot"]["environment"]["EASEL_BROKER_PASSWORD"] == password


def test_what_must_be_up_first_is_waited_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("bot", "worker", "worker-cpu"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services[name]["depends_on"]["redis"] == {"condition": "service_healthy"}
        assert services[name]["restart"] == "unless-stopped"
    devices = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_one_profile_draws_on_a_gpu_and_the_other_without_cuda(compose: dict[str, Any]) -> None:
    gpu, cpu = compose["services"]["worker"], compose["services"]["worker-cpu"]
    assert (gpu["profiles"], cpu["profiles"]) == (["gpu"], ["cpu"])
    assert cpu["build"]["args"]["TORCH_INDEX"].endswith("/cpu")
    assert cpu["deploy"] == {}
    assert cpu["image"] != gpu["image"]
    assert compose["services"]["bot"]["labels"]["easel.worker"].startswith("${COMPOSE_PROFILES:?")


def test_models_are_mounted_and_named_for_all_that_read_the_catalog(compose: dict[str, Any]) -> None:
    for name in ("bot", "worker", "worker-cpu"):
        assert "./models:/models" in compose["services"][name]["volumes"]
        assert compose["services"][name]["environment"]["EASEL_CATALOG"] == "${EASEL_CATALOG:-}"
    assert {"EASEL_COMPILE", "HF_TOKEN"} <= set(compose["services"]["worker"]["environment"])


def test_a_release_says_what_the_changelog_says() -> None:
    notes = [str(ROOT / ".github" / "release-notes")]
    said = subprocess.run([*notes, "0.1.0"], capture_output=True, text=True, check=True).stdout
    assert "Midjourney's prompt language" in said
    assert "\n## " not in said
    assert subprocess.run([*notes, "99.0"], capture_output=True, check=False).returncode == 1


def test_the_published_images_are_those_that_compose_builds(compose: dict[str, Any]) -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    published = workflow["jobs"]["images"]["strategy"]["matrix"]["include"]
    builds = [(each["image"], each["build"]) for each in compose["services"].values() if "build" in each]
    built = {
        (image, build["dockerfile"], build.get("args", {}).get("TORCH_INDEX", "")) for image, build in builds
    }
    assert {(each["image"], each["dockerfile"], each["torch_index"]) for each in published} == built
    assert any(".ci/run" in step.get("run", "") for step in workflow["jobs"]["test"]["steps"])


@pytest.mark.parametrize("name", ["bot", "worker"])
def test_the_images_copy_all_that_the_package_needs(name: str) -> None:
    text = (ROOT / f"Dockerfile.{name}").read_text(encoding="utf-8")
    copied = {
        word for line in text.splitlines() if line.startswith("COPY") for word in shlex.split(line)[1:-1]
    }
    assert copied >= {"pyproject.toml", "README.md", "LICENSE", "constraints.txt"}
    assert copied >= {"easel", "bot", "generator", "storage", "migrations", "picturebook"}
    for path in copied:
        assert (ROOT / path).exists(), path
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{path}" for path in copied} <= set(ignored)
    assert f"'.[{name}]'" in text
    assert f'CMD ["{name}"]' in text


def test_the_bot_image_has_no_torch() -> None:
    assert "torch" not in (ROOT / "Dockerfile.bot").read_text(encoding="utf-8").split("\n", 1)[1]
