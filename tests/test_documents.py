"""What the documents say of commands, settings and files is so."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Collection
from pathlib import Path

import grimp
import pytest
from discord.app_commands import Group
from pydantic import SecretStr
from typer.testing import CliRunner

from bot import commands
from easel.__main__ import app
from easel.demo import FIRST_PROMPT
from easel.invitation import PERMISSIONS, invitation
from prompts.flags import BY_NAME
from storage import config
from storage.catalog_model import ModelEntry
from storage.config import Config

ROOT = Path(__file__).parents[1]
ROOMS = ("easel", "bot", "actions", "prompts", "generator", "storage", "picturebook")
FOLDERS = r"easel|bot|generator|storage|migrations|picturebook|tests|docs|benchmarks|\.ci"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_is_named_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text)
    for name in linked:
        assert (document.parent / name).exists(), name
    for name in named:
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`([\w./-]+\.py)`", text):
        assert (ROOT / name).exists() or (document.parent / name).exists(), name


def test_every_document_that_the_code_names_exists() -> None:
    for folder in FOLDERS.split("|"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r"\bdocs/[\w./-]+\.md\b", path.read_text(encoding="utf-8")):
                assert (ROOT / name).exists(), f"{path.relative_to(ROOT)}: {name}"


@pytest.mark.parametrize("name", ["README.md", "docs/operating.md"])
def test_every_setting_is_explained(name: str) -> None:
    for field in Config.model_fields:
        assert f"`{config.variable(field)}`" in _text(name), field


def test_every_default_of_a_setting_is_the_codes() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", _text("docs/operating.md"), re.MULTILINE))
    for field, info in Config.model_fields.items():
        default = info.default.get_secret_value() if isinstance(info.default, SecretStr) else info.default
        said = re.fullmatch(r"`([^`]*)`", rows.get(config.variable(field), "").strip())
        literal = default is not None and default not in ("", config.DISCORD_URL) and field != "data_dir"
        assert (said[1] if said else None) == (str(default) if literal else None), field


def test_every_metric_is_explained_and_no_other() -> None:
    tree = ast.parse(_text("easel/metrics.py"))
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    measured = {text for text in strings if isinstance(text, str) and re.fullmatch(r"easel_\w+", text)}
    explained = re.findall(r"^\| `(easel_\w+)", _text("docs/operating.md"), re.MULTILINE)
    assert {name.removesuffix("_total") for name in explained} == measured


def test_every_slash_command_that_is_named_exists() -> None:
    known = {"/" + command.name: command for command in commands.ALL}
    page = re.compile(r"`(/[a-z]+)(?: ([a-z_]+))?[ `]")
    for document in (ROOT / name for name in ("README.md", "docs/operating.md", "docs/moderation.md")):
        for name, inner in page.findall(document.read_text(encoding="utf-8")):
            if name in ("/metrics", "/tmp"):
                continue
            assert name in known, f"{document.name}: {name}"
            command = known[name]
            if inner and isinstance(command, Group):
                assert command.get_command(inner), f"{document.name}: {name} {inner}"


def test_every_folder_imports_what_the_architecture_says() -> None:
    table = re.findall(r"^\| `(\w+)/` \|[^|]*\| ([^|]*) \|$", _text("docs/architecture.md"), re.MULTILINE)
    folders = {folder for folder, _ in table}
    assert folders == {path.name for path in ROOT.iterdir() if any(path.glob("*.py"))}
    for folder, said in table:
        if not said.startswith("everything"):
            allowed = set(re.findall(r"`(\w+)`", said.split("; never")[0]))
            assert _imports(ROOT / folder) & folders - {folder} == allowed & folders, folder


def _imports(folder: Path) -> set[str]:
    """Top-level packages that the folder's files import anywhere, inside functions too."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0] for name in names}
    return found


def test_the_diagram_of_the_rooms_shows_what_they_import() -> None:
    """Exactly the imports between rooms, and between the parts of one, but for those that a path implies."""
    diagram = re.search(r"```mermaid\n(.*?)```", _text("docs/architecture.md"), re.DOTALL)
    assert diagram is not None
    arrows = set(re.findall(r"^ +(\w+) --> (\w+)$", diagram[1], re.MULTILINE))
    named = set(re.findall(r"^ +(?:subgraph )?(\w+)\[", diagram[1], re.MULTILINE))
    graph = grimp.build_graph(*ROOMS, cache_dir=None)
    expected, names = _without_detours(_arrows(graph, ROOMS)), set(ROOMS)
    for room in re.findall(r"^ +subgraph (\w+)", diagram[1], re.MULTILINE):
        parts = {part for part in graph.find_children(room) if (ROOT / part.replace(".", "/")).is_dir()}
        between = _without_detours(_arrows(graph, parts))
        expected |= {(start.removeprefix(f"{room}."), end.removeprefix(f"{room}.")) for start, end in between}
        names |= {part.removeprefix(f"{room}.") for part in parts}
    assert named == names
    assert arrows == expected


def _arrows(graph: grimp.ImportGraph, packages: Collection[str]) -> set[tuple[str, str]]:
    """Pairs of different packages of which the first imports the second, anywhere in it."""
    package_of = {module: each for each in packages for module in (each, *graph.find_descendants(each))}
    return {
        (package, package_of[imported])
        for module, package in package_of.items()
        for imported in graph.find_modules_directly_imported_by(module)
        if package_of.get(imported, package) != package
    }


def _without_detours(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The transitive reduction: arrows whose end no longer path reaches."""
    reached = set(arrows)
    while more := {(a, d) for a, b in reached for c, d in reached if b == c} - reached:
        reached |= more
    return {(a, c) for a, c in arrows if not any((a, b) in reached and (b, c) in reached for _, b in reached)}


def test_members_sentences_are_where_contributors_look_for_them() -> None:
    """Beside the folders of messages, commands and views, exactly the files that are named."""
    line = re.search(r"^- Every sentence.*?(?=^- )", _text("CONTRIBUTING.md"), re.MULTILINE | re.DOTALL)
    assert line is not None
    named = set(re.findall(r"`(bot/\w+\.py)`", line[0])) - {"prompts/translation.py"}
    marked = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "bot").glob("*.py") if _marks_a_sentence(path)
    }
    assert marked == named


def _marks_a_sentence(path: Path) -> bool:
    """True if the file marks words for translation; a separator such as `_(", ")` is none."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    marks = [call for call in calls if ast.unparse(call.func) in ("_", "N_", "ngettext")]
    said = [arg.value for call in marks for arg in call.args if isinstance(arg, ast.Constant)]
    return any(re.search(r"\w", str(each)) for each in said)


def test_every_command_is_in_the_readme() -> None:
    groups = {"": app, **{group.name: group.typer_instance for group in app.registered_groups}}
    for group, commands_of in groups.items():
        for command in commands_of.registered_commands if commands_of else ():
            assert command.callback is not None
            name = command.name or command.callback.__name__
            named = rf"`easel {group} [a-z\\|]*\b{name}\b" if group else rf"`easel {name}\b"
            assert re.search(named, _text("README.md")), f"{group} {name}"


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
