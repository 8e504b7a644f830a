"""`easel parse`: what scripts read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from easel.__main__ import app
from storage.contract import GenerationRequest
from tests.easel.conftest import Easel


def parsed(*arguments: str, code: int = 0) -> Any:
    answer = CliRunner().invoke(app, ["parse", *arguments])
    assert answer.exit_code == code, answer.output
    return json.loads(answer.stdout)


def test_the_requests_are_those_a_worker_reads() -> None:
    found = parsed("a red castle::2 snow::-.5 --ar 3:2 --chaos 10 --seed 5")
    (request,) = (GenerationRequest.model_validate(each) for each in found["requests"])
    assert (request.prompt, request.seed, request.chaos) == ("a red castle snow", 5, 10)
    assert [part.weight for part in request.parts] == [2, -0.5]
    assert found["prompts"][0]["text"] == "a red castle::2 snow::-.5 --ar 3:2 --chaos 10 --seed 5"
    assert found["notes"] == []


def test_there_is_a_request_for_each_permutation_and_repeat() -> None:
    found = parsed("a {red, blue} castle --{chaos 50, tile} --repeat 2", "--seed", "5")
    assert [each["prompt"] for each in found["requests"]] == ["a red castle"] * 4 + ["a blue castle"] * 4
    assert [each["seed"] for each in found["requests"]] == [5, 9] * 4
    assert [each["text"] for each in found["prompts"]][::2] == [
        "a red castle --chaos 50",
        "a red castle --tile",
        "a blue castle --chaos 50",
        "a blue castle --tile",
    ]


def test_a_command_typed_again_is_the_same_request() -> None:
    first = parsed("a red castle --sref random --stylize 5")
    again = parsed(first["prompts"][0]["command"])
    assert again["requests"] == first["requests"]


def test_pictures_speed_and_visibility_stand_beside_the_request() -> None:
    found = parsed("https://a.example/b.png::2 a castle --iw .5 --relax --stealth")
    (prompt,) = found["prompts"]
    assert prompt["images"] == [{"url": "https://a.example/b.png", "weight": 2.0}]
    assert (prompt["image_weight"], prompt["speed"], prompt["stealth"]) == (0.5, "relax", True)
    assert found["requests"][0]["prompt"] == "a castle"


def test_notes_and_unknown_words_are_sentences() -> None:
    meaningless, unknown = parsed("a castle and a dragon --p --hd")["notes"]
    assert meaningless == "`--p` and `--hd` have no meaning here and changed nothing."
    assert "does not know *dragon*" in unknown


@pytest.mark.parametrize(
    ("text", "sentence", "suggestion"),
    [
        ("a castle --stilyze 5", "Unrecognized parameter: `--stilyze`", "--stylize"),
        ("a castle --s 5000", "`--s` takes a whole number from 0 to 1000", "--s 1000"),
        ("hot:: dog::-1", "The weights of the prompt's parts add up to `0`", None),
        ("{a, b, c, d, e, f, g} {a, b, c, d, e, f, g}", "That would be 49 jobs at once", None),
        ("--ar 3:2", "Empty prompt", None),
        ("", "Empty prompt", None),
    ],
)
def test_a_prompt_that_cannot_run_says_why(text: str, sentence: str, suggestion: str | None) -> None:
    error = parsed(text, code=2)["error"]
    assert error["sentence"].startswith(sentence)
    assert error["suggestion"] == suggestion
    assert error["prompt"] == text


def test_the_model_and_the_seed_hold_where_the_text_names_none() -> None:
    assert parsed("a castle", "--model", "picturebook", "--seed", "7")["requests"][0]["seed"] == 7
    assert parsed("a castle --seed 3", "--seed", "7")["requests"][0]["seed"] == 3
    assert "picturebook" in parsed("a castle", "--model", "picturbok", code=2)["error"]["suggestion"]


@pytest.mark.parametrize("arguments", [["a castle", "--seed", "-1"], ["a castle", "--seed", "x"], []])
def test_wrong_arguments_are_told(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["parse", *arguments]).exit_code == 2


def test_it_runs_as_a_command_without_database_or_token(easel: Easel, tmp_path: Path) -> None:
    answer = easel("parse", "一座红色的城堡 --ar 3:2")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["requests"][0]["prompt"] == "一座红色的城堡"
    assert not (tmp_path / "data").exists()
    assert "DISCORD_TOKEN" not in os.environ
