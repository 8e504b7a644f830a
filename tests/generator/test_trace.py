"""A profile of a working engine, as the file that somebody opens in Perfetto."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from generator.engine.engine import Engine
from storage.contract import GenerationRequest
from tests.generator.working import wait_for


@pytest.fixture
def engine(sd_folder: Path) -> Iterator[Engine]:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        yield engine


def asked(steps: int) -> GenerationRequest:
    return GenerationRequest(
        prompt="a boat", width=64, height=64, seed=5, num_inference_steps=steps, num_images_per_prompt=1
    )


def events(file: Path) -> list[dict[str, Any]]:
    data = file.read_bytes()
    loaded = json.loads(gzip.decompress(data) if file.suffix == ".gz" else data)
    found: list[dict[str, Any]] = loaded["traceEvents"]
    return found


def convolutions(found: list[dict[str, Any]], latents: list[int]) -> list[dict[str, Any]]:
    """The UNet's first one of each call: no other network takes latents of this shape, two rows at once."""
    return [
        event
        for event in found
        if event["name"] == "aten::conv2d" and event["args"].get("Input Dims", [[]])[0] == latents
    ]


@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz"])
def test_the_profile_has_the_unets_work_of_every_tick(
    engine: Engine, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / name
    engine.device_thread.trace(file, 6)
    assert not file.exists(), "it waits for work"
    images = engine.submit(asked(14)).result()
    wait_for(lambda: str(file) in caplog.text, 30)
    assert f"a profile of 6 ticks is in {file}" in caplog.text
    found = events(file)
    ticks = {event["name"] for event in found if event["name"].startswith("ProfilerStep#")}
    assert len(ticks) == 6
    assert len(convolutions(found, [2, 4, 8, 8])) == 6
    assert any(event["name"] == "aten::scaled_dot_product_attention" for event in found)
    again = engine.submit(asked(14)).result()
    assert again[0].tobytes() == images[0].tobytes(), "it goes on as before"


def test_what_there_is_is_written_when_the_engine_ends_early(
    sd_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "trace.json"
    with Engine.open(str(sd_folder), device="cpu") as engine:
        engine.device_thread.trace(file)
        engine.submit(asked(10)).result()
    wait_for(lambda: "a profile of 4 ticks" in caplog.text, 30)
    assert len(convolutions(events(file), [2, 4, 8, 8])) == 4


def test_without_work_nothing_is_written(
    sd_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        engine.device_thread.trace(tmp_path / "trace.json")
    assert "too few ticks" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_profile_that_cannot_be_written_harms_no_job(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    engine.device_thread.trace(folder / "trace.json.gz", 3)
    assert len(engine.submit(asked(12)).result()) == 1
    wait_for(lambda: "could not be written" in caplog.text, 30)
