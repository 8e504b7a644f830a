"""Docstrings say what a thing is or does: none begins with a question word."""

from __future__ import annotations

import ast
import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["packages"]
PACKAGES = sorted(set(CHECKED) - {"tests"})
QUESTIONS = frozenset(
    ["What", "Who", "Whom", "Whose", "Which", "Whether", "When", "Where", "Why", "How", "That"],
)

Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_begins_with_a_question_word(package: str) -> None:
    documented = [
        (f"{path.relative_to(ROOT)}: {name}", docstring)
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, docstring in _documented(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert documented
    questions = [
        f"{name}: {docstring.splitlines()[0]}"
        for name, docstring in documented
        if docstring.split()[0].strip(",:;*`").partition("'")[0] in QUESTIONS
    ]
    assert not questions, "\n".join(questions)


def _documented(node: ast.Module | Named, name: str = "the module") -> Iterator[tuple[str, str]]:
    """Docstrings of a module and all that is in it, constants and attributes too, by their names."""
    if docstring := ast.get_docstring(node):
        yield name, docstring
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, Named):
            yield from _documented(inner, inner.name)
    for before, after in itertools.pairwise(node.body):
        if (text := _text(after)) and isinstance(before, ast.Assign | ast.AnnAssign):
            target = before.target if isinstance(before, ast.AnnAssign) else before.targets[0]
            yield f"{name}: {ast.unparse(target)}", text


def _text(node: ast.stmt) -> str:
    """A string that stands alone: the docstring of the constant or attribute above it."""
    value = node.value if isinstance(node, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
