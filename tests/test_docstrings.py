"""Docstrings say what a thing is or does: none of a public name begins with a question word."""

from __future__ import annotations

import ast
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
def test_no_public_docstring_begins_with_a_question_word(package: str) -> None:
    documented = [
        (f"{path.relative_to(ROOT)}: {name}", docstring)
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, docstring in _public(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert documented
    questions = [
        f"{name}: {docstring.splitlines()[0]}"
        for name, docstring in documented
        if docstring.split()[0].strip(",:;*`").partition("'")[0] in QUESTIONS
    ]
    assert not questions, "\n".join(questions)


def _public(node: ast.Module | Named, name: str = "the module") -> Iterator[tuple[str, str]]:
    """Docstrings of a module, or of anything public in it and in that, each with its name."""
    if docstring := ast.get_docstring(node):
        yield name, docstring
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, Named) and (not inner.name.startswith("_") or inner.name.endswith("__")):
            yield from _public(inner, inner.name)
