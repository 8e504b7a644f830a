"""What the documents say of commands, settings and files is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot import commands
from bot.flag_table import BY_NAME
from easel.__main__ import app
from easel.demo import FIRST_PROMPT
from easel.invitation import PERMISSIONS, invitation
from storage import config
from storage.catalog import ModelEntry
from storage.config import Config

ROOT = Path(__file__).parents[1]
FOLDERS = r"easel|bot|generator|storage|migrations|picturebook|tests|docs|benchmarks|\.ci"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_is_named_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    named = re.findall(
        r"`((?:easel|bot|generator|storage|migrations|picturebook|tests|docs|benchmarks|\.ci)/[\w./-]*)`",
        text,
    )
    for name in linked:
        assert (document.parent / name).exists(), name
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("name", ["README.md", "docs/operating.md"])
def test_every_setting_is_explained(name: str) -> None:
    for field in Config.model_fields:
        assert f"`{config.variable(field)}`" in _text(name), field


def test_every_command_that_is_named_exists() -> None:
    for document in DOCUMENTS:
        for words in re.findall(r"`easel ([a-z]+(?: [a-z]+)?)", document.read_text(encoding="utf-8")):
            command = words.split()[: 2 if words.startswith(("db ", "models ")) else 1]
            answer = CliRunner().invoke(app, [*command, "--help"])
            assert answer.exit_code == 0, f"{document.name}: easel {words}"


def test_the_invitation_of_the_readme_is_the_one_of_the_doctor() -> None:
    link = invitation(0).replace("client_id=0", "client_id=APPLICATION_ID")
    assert link in _text("README.md")
    for permission in PERMISSIONS:
        assert permission in " ".join(_text("README.md").split())


def test_the_first_prompt_is_the_one_of_the_demo() -> None:
    assert FIRST_PROMPT in _text("README.md")


def test_all_versions_are_locked() -> None:
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = {_name(line) for block in lists for line in block}
    locked = {_name(line) for line in _text("constraints.txt").splitlines() if "==" in line}
    assert wanted - {"easel-discord"} <= locked
    assert len(wanted) > 20


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=,]", requirement)[0].lower().replace("_", "-")


def test_every_key_of_the_catalog_is_explained() -> None:
    for key in ModelEntry.model_fields:
        assert re.search(rf"`{key}[`.]", _text("docs/operating.md")) or key == "name", key


def test_whoever_comes_from_midjourney_finds_every_flag_and_command() -> None:
    page = _text("docs/midjourney.md")
    for name in BY_NAME:
        assert re.search(rf"--{name}\b", page), name
    for command in commands.ALL:
        assert f"`/{command.name}" in page, command.name
