"""Where anything at all is caught: at four edges that docs/architecture.md names, and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parents[1]
ROOMS = ("actions", "bot", "easel", "generator", "prompts", "storage")
BROAD = ("Exception", "BaseException")
EDGES = {
    "interaction": {"bot/components/press.py"},
    "attempt": {
        "bot/delivery/worker.py",
        "bot/exports.py",
        "generator/device_errors.py",
        "generator/worker/attempt.py",
    },
    "supervised": {"storage/supervision.py", "generator/engine/device_thread.py"},
    "foreign file": {"storage/foreign_files.py"},
}
MOST = 8


def _broad(tree: ast.AST) -> Iterator[int]:
    """Lines of handlers, and of `suppress`, that let no error pass."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type] if node.type is not None else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = list(node.args)
        else:
            continue
        names = {ast.unparse(kind) for each in caught for kind in getattr(each, "elts", [each])}
        if not caught or names & set(BROAD):
            yield node.lineno


def _of(source: str) -> list[int]:
    return list(_broad(ast.parse(source)))


def test_a_broad_handler_is_known_in_each_of_its_forms() -> None:
    for line in (
        "except:",
        "except Exception:",
        "except BaseException as e:",
        "except (OSError, Exception):",
    ):
        assert _of(f"try: pass\n{line} pass") == [2]
    assert _of("with contextlib.suppress(Exception): pass") == [1]
    assert not _of("try: pass\nexcept (OSError, ValueError): pass\nwith suppress(OSError): pass")


def test_anything_is_caught_at_four_edges_alone() -> None:
    files = [file for room in ROOMS for file in sorted((HERE / room).rglob("*.py"))]
    found = [str(file.relative_to(HERE)) for file in files for _ in _of(file.read_text())]
    assert sorted(found) == sorted(set.union(*EDGES.values()))
    assert len(found) <= MOST


def test_the_architecture_names_the_edges() -> None:
    text = (HERE / "docs" / "architecture.md").read_text()
    section = text.split("## Edges where anything is caught\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`([\w/]+\.py)`", section))
    assert set.union(*EDGES.values()) <= named
    callers = {
        str(file.relative_to(HERE))
        for room in ROOMS
        for file in (HERE / room).rglob("*.py")
        if re.search(r"import .*\b(supervised|foreign_files|telling|outcome)\b", file.read_text())
    }
    assert callers <= named
