"""Every test can fail by an assertion of its own, or of a function of the tests that it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
ASSERTING = frozenset({"raises", "warns", "fail", "expect", "assert_close", "runTest"})
"""The assertions of pytest, Playwright, torch and unittest, by the names under which they are called."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_every_test_asserts_something() -> None:
    functions = [each for path in sorted(TESTS.rglob("*.py")) for each in _functions(path)]
    asserting = ASSERTING | {function.name for _, function, _ in functions if _asserts(function)}
    while grown := {function.name for _, function, called in functions if called & asserting} - asserting:
        asserting |= grown
    silent = [
        f"{path.relative_to(TESTS)}: {function.name}"
        for path, function, called in functions
        if function.name.startswith("test_") and not _asserts(function) and not called & asserting
    ]
    assert not silent, "\n".join(silent)


def _functions(path: Path) -> Iterator[tuple[Path, Function, set[str]]]:
    """The functions of a file, each with the names of what it calls of pytest's and of the tests' own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    foreign = {name for node in tree.body for name in _imported(node)}
    for node in ast.walk(tree):
        if isinstance(node, Function):
            calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
            names = {_name(call) for call in calls if _root(call) not in foreign}
            yield path, node, names | {_name(call) for call in calls if _name(call) in ASSERTING}


def _imported(node: ast.stmt) -> list[str]:
    """Names that an import brings from elsewhere than the tests."""
    if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("tests"):
        return [alias.asname or alias.name for alias in node.names]
    return [alias.asname or alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def _name(call: ast.expr) -> str:
    return call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")


def _root(call: ast.expr) -> str:
    """The name with which an expression such as `Bot(1).tree.close` begins."""
    while not isinstance(call, ast.Name):
        inner = getattr(call, "value", None) or getattr(call, "func", None)
        if inner is None:
            return ""
        call = inner
    return call.id


def _asserts(function: Function) -> bool:
    return any(isinstance(node, ast.Assert) or _raises_assertion(node) for node in ast.walk(function))


def _raises_assertion(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and node.exc is not None and "AssertionError" in ast.unparse(node.exc)
