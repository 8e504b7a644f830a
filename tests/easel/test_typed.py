"""Commands as people type and paste them into the demo's page."""

from __future__ import annotations

from typing import Any

import pytest

from easel.simulated.typed import NotTyped, read

_TEXT: dict[str, Any] = {"name": "prompt", "type": 3, "required": True}
_RATIO: dict[str, Any] = {"name": "ratio", "type": 3, "choices": [{"name": "Wide", "value": "3:2"}]}
COMMANDS: list[dict[str, Any]] = [
    {"name": "imagine", "options": [_TEXT, _RATIO, {"name": "image", "type": 11}]},
    {"name": "info", "options": []},
    {"name": "show", "options": [{"name": "job", "type": 4, "required": True}]},
    {"name": "prefer", "options": [{"name": "remix", "type": 1, "options": [{"name": "on", "type": 5}]}]},
]


@pytest.mark.parametrize(
    ("line", "path", "options"),
    [
        ("/imagine a red castle --ar 3:2", ["imagine"], {"prompt": "a red castle --ar 3:2"}),
        ("/Imagine   a  castle ", ["imagine"], {"prompt": "a  castle"}),
        ("/imagine prompt: a castle", ["imagine"], {"prompt": "a castle"}),
        ("/imagine prompt:a castle ratio: wide", ["imagine"], {"prompt": "a castle", "ratio": "3:2"}),
        ("/imagine a castle, ratio: wide", ["imagine"], {"prompt": "a castle, ratio: wide"}),
        ("/imagine one\ntwo", ["imagine"], {"prompt": "one\ntwo"}),
        ("/info", ["info"], {}),
        ("/show 12", ["show"], {"job": "12"}),
        ("/prefer remix on: yes", ["prefer", "remix"], {"on": True}),
    ],
)
def test_a_line_is_read_as_the_list_would_have_made_it(
    line: str, path: list[str], options: dict[str, Any]
) -> None:
    command = read(COMMANDS, line)
    assert (command.path, command.options) == (path, options)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/imagin a castle", "Did you mean `/imagine`?"),
        ("/", "Type `/` to see them all"),
        ("/imagine", "also wants `prompt`"),
        ("/imagine prompt: a castle image: x.png", "`image` cannot be typed"),
        ("/info me", "stands alone"),
        ("/prefer", "`/prefer remix`"),
        ("/prefer remix maybe", "`true` or `false`"),
    ],
)
def test_what_cannot_be_typed_is_answered_with_what_to_do(line: str, sentence: str) -> None:
    with pytest.raises(NotTyped) as refused:
        read(COMMANDS, line)
    assert sentence in str(refused.value)
