"""CONTRIBUTING's recipes for a button and a flag, followed in a copy of the tree, which is then run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("actions", "bot", "easel", "generator", "migrations", "prompts", "storage", "tests")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEP = re.compile(r"^\d+\. ", re.MULTILINE)
DIFF = re.compile(r"^   ```diff\n(.*?)^   ```$", re.MULTILINE | re.DOTALL)

PRESS = """
from storage.contract import GenerationRequest, Task
from tests.bot import drawing
from tests.bot.pressing import images, job_rows, picked, set_up, used
from tests.bot.simulated import answer, prefilled, press


async def test_the_new_button(world):
    alice = world.member("alice")
    _, single = await picked(world, alice)
    result = await press(alice, single, "Zoom Out 3×")
    assert answer(result).content.startswith("Zooming out of image #2 with **a red castle**")
    job = job_rows(world)[-1]
    request = GenerationRequest.model_validate(job.request)
    assert (job.action, request.task) == ("zoom_out_3x", Task.INPAINTING)
    assert request.parent_image_id == images(world)[1].id
    assert used(world.reread(single)) == ["Zoom Out 3×"]
    drawing.draw(world.backends)
    assert "Zoom Out by" in (await world.picture(after=single.id)).content
    set_up(world, alice, remix=True)
    assert prefilled(await press(alice, single, "Zoom Out 3×")) == "a red castle"
"""


READ_AND_WRITE = """
from prompts import parser, unparser
from tests.prompts.catalogs import catalog

known = catalog()
command = unparser.command(parser.parse("a red castle --grain 4", known).request, known)
print(command)
print(parser.parse(command, known).request.grain)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of all that runs; Picturebook's files, which no recipe touches, are linked."""
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "picturebook").symlink_to(ROOT / "picturebook")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def edits(title: str) -> Iterator[tuple[str, str, str]]:
    """Each edit of a recipe: its file, and the text that is there before and afterwards."""
    (recipe,) = re.findall(rf"^### {title}\n(.*?)(?=^#|\Z)", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    for step in STEP.split(recipe)[1:]:
        for diff in DIFF.finditer(step):
            file = re.findall(r"`([\w./]+/[\w.]+)`", step[: diff.start()])[-1]
            lines = [line.removeprefix("   ") for line in diff[1].splitlines(keepends=True)]
            before = "".join(line[1:] for line in lines if not line.startswith("+"))
            yield file, before, "".join(line[1:] for line in lines if not line.startswith("-"))


def follow(title: str, copy: Path) -> set[str]:
    """Do what a recipe says; returns the files of code that it changed."""
    changed = set()
    for file, before, after in edits(title):
        text = (copy / file).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"the recipe {title!r} speaks of {file} as it was: {before}"
        (copy / file).write_text(text.replace(before, after), encoding="utf-8")
        changed.add(file)
    return {file for file in changed if file.endswith(".py")}


def run(copy: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=environment | {"PYTHONPATH": str(copy), "EASEL_DATA_DIR": str(copy / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_buttons_recipe_is_of_the_code_as_it_is(copy: Path) -> None:
    assert len(follow("Add a button", copy)) <= 3
    asked = "from actions.table import BY_VERB; print(BY_VERB['z3'].invocation(7).action)"
    assert run(copy, "-c", asked) == "zoom_out_3x\n"


@pytest.mark.exhaustive
def test_a_button_by_its_recipe(copy: Path) -> None:
    follow("Add a button", copy)
    (copy / "tests/bot/test_new_button.py").write_text(PRESS, encoding="utf-8")
    tests = ["tests/bot/test_new_button.py", "tests/bot/test_custom_ids.py", "tests/actions/test_table.py"]
    chosen = "new_button or handler or table"
    assert "::test_the_new_button" in run(
        copy, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-k", chosen, *tests
    )


def test_a_flag_by_its_recipe(copy: Path) -> None:
    assert len(follow("Add a flag", copy)) <= 2
    understood = json.loads(run(copy, "-m", "easel", "parse", "a red castle {--single, --chaos 3}"))
    assert [request["num_images_per_prompt"] for request in understood["requests"]] == [1, 4]
    assert {request["prompt"] for request in understood["requests"]} == {"a red castle"}
    assert understood["notes"] == []


def test_a_flag_that_is_a_field_of_the_request(copy: Path) -> None:
    """Neither the reading nor the writing of commands has to be told of it."""
    for file, before, after in (
        (
            "prompts/flags.py",
            '    Flag("sw", ',
            '    Flag("grain", Whole(0, 9), N_("film grain"), default="0", field="grain"),\n    Flag("sw", ',
        ),
        ("storage/contract.py", "    tile: bool = False\n", "    grain: int = 0\n    tile: bool = False\n"),
    ):
        text = (copy / file).read_text(encoding="utf-8")
        assert text.count(before) == 1
        (copy / file).write_text(text.replace(before, after), encoding="utf-8")
    command, again = run(copy, "-c", READ_AND_WRITE).splitlines()
    assert "--grain 4" in command
    assert again == "4"
