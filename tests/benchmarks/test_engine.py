"""The command, and how it keeps to its time."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
from rich.console import Console

from benchmarks import engine, first_picture, measure
from benchmarks.clock import Allowance
from benchmarks.models import Model
from benchmarks.table import table


@pytest.fixture(scope="module")
def result(model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    file = tmp_path_factory.mktemp("result") / "engine.json"
    words = ["engine", "--model", model.name, "--device", "cpu", "--jobs", "4", "--steps", "2", "4"]
    words += [
        "--rounds",
        "1",
        "--parts",
        "likeness",
        "around",
        "alone",
        "previews",
        "--preview-every",
        "0.01",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*words, "--json", str(file)])
        engine.main()
    (found,) = json.loads(file.read_text(encoding="utf-8"))["models"]
    assert isinstance(found, dict)
    return found


def test_json_holds_every_run(result: dict[str, object]) -> None:
    queue = result["queue"]
    assert isinstance(queue, dict)
    assert len(queue["requests"]) == len(queue["arrivals"]) == 4
    assert [len(queue["runs"][side]) for side in ("diffusers", "easel")] == [1, 1]
    assert isinstance(result["unet_flops_per_row"], int)
    assert {"likeness", "around", "alone", "previews"} <= set(result)
    assert "first_tick" not in result


def _printed(result: dict[str, object], *, on_gpu: bool) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table(result, on_gpu))
    return capture.get()


def test_table_names_the_goals(result: dict[str, object]) -> None:
    text = _printed(result, on_gpu=False)
    assert "short jobs beside long ones" in text
    assert "previews add, %" in text
    assert "first tick" not in text
    assert "a picture decoded in a shared call, ms" in text
    assert "matmul" not in text


def test_a_gpu_is_measured_against_its_peak(result: dict[str, object]) -> None:
    result = json.loads(json.dumps(result))
    result["peak_flops"] = 1e12
    engine.add_peak(result)
    queue = result["queue"]
    assert isinstance(queue, dict)
    easel = queue["easel"]
    assert easel["peak_share"] == pytest.approx(easel["unet_tflops"])
    assert easel["whole_peak_share"] < easel["peak_share"]
    assert "matmul" in _printed(result, on_gpu=True)


@pytest.mark.parametrize(
    ("seconds", "jobs", "rounds"),
    [(math.inf, 32, 3), (192, 32, 3), (150, 32, 2), (64, 32, 1), (40, 20, 1), (2, 8, 1)],
)
def test_a_queue_is_cut_to_its_time(seconds: float, jobs: int, rounds: int) -> None:
    assert measure.fitted(32, 3, 1.0, seconds) == (jobs, rounds)


def test_a_part_without_time_is_left_out(model: Model) -> None:
    options = measure.Options(jobs=4, rounds=1, steps=(2, 3), parts=["alone", "first_picture"])
    found = measure.measure(model, torch.device("cpu"), options, Allowance(0.0))
    assert found["jobs"] == 4
    assert "alone" not in found
    assert found["first_picture"] is None


def test_a_first_picture_is_a_grid(model: Model) -> None:
    for side in ("easel", "diffusers"):
        encoded = first_picture.draw(side, model.name, torch.device("cpu"), 2)
        assert [each[:4] for each in encoded] == [b"\x89PNG"] * 4


def test_allowance() -> None:
    assert Allowance().part(0.5).left == math.inf
    assert 49 < Allowance(100.0).part(0.5).left <= 50
    assert Allowance(-1.0).left == 0
