"""Requests that are changed stay requests."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError

from storage.contract import Control, GenerationRequest, RequestChanges, Task
from tests.storage import asking

ROOT = Path(__file__).parents[2]
CODE = ("bot", "benchmarks", "easel", "generator", "picturebook", "storage")
REQUEST = asking.draft().request


def test_changes_have_the_fields_of_a_request() -> None:
    fields = get_type_hints(GenerationRequest) | {"version": None}
    changes = get_type_hints(RequestChanges)
    named = {name: kind for name, kind in fields.items() if name in GenerationRequest.model_fields}
    assert {**changes, "version": None} == {**named, "version": None}


@pytest.mark.parametrize(
    "changes",
    [
        {"strength": 7.0},
        {"width": 0},
        {"seed": 2**32},
        {"task": Task.INPAINTING},
        {"task": Task.INPAINTING, "parent_image_id": 1},
        {"mask_words": "x" * 101},
        {"source_keys": ("a",) * 6},
        {"negative_parts": ({"phrases": [{"text": "fog"}], "weight": 0},)},
        {
            "negative_parts": (
                {"phrases": [{"text": "fog"}], "weight": 2},
                {"phrases": [{"text": "rain"}], "weight": -1},
            )
        },
        {"colour": "red"},
    ],
    ids=str,
)
def test_no_change_makes_a_request_that_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        REQUEST.changed(**changes)


def test_a_change_leaves_the_rest_as_it_was() -> None:
    rich = REQUEST.changed(control=Control(kind="edges").showing("k"), stylize=3)
    assert rich.changed(seed=5).model_dump() == {**rich.model_dump(), "seed": 5}
    assert rich.changed() == rich


def test_nothing_is_copied_past_its_validation() -> None:
    """`model_copy(update=…)` and `model_construct` look at no value."""
    found = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for folder in CODE
        for file in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if call.func.attr == "model_construct"
        or (call.func.attr == "model_copy" and (call.args or call.keywords))
    ]
    assert found == []
