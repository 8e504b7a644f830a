"""Models of few steps: latent consistency (LCM) and adversarial distillation (SDXL-Turbo)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from generator.engine.engine import Engine
from tests.generator import tiny
from tests.generator.reference import Pipeline, difference
from tests.generator.test_engine_batch import Calls
from tests.generator.test_engine_exact import asked

Pair = tuple[Engine, Pipeline]


@pytest.fixture(scope="module")
def consistent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tiny.make_sd(tmp_path_factory.mktemp("lcm") / "lcm", guidance_width=32)
    with Engine.open(str(folder), device="cpu") as engine:
        yield engine, Pipeline(folder)


@pytest.fixture(scope="module")
def turbo(sdxl_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """SDXL with Turbo's scheduler config."""
    folder = Path(shutil.copytree(sdxl_folder, tmp_path_factory.mktemp("turbo") / "turbo"))
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"timestep_spacing": "trailing"}))
    with Engine.open(str(folder), device="cpu") as engine:
        yield engine, Pipeline(folder)


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("guidance", [1.0, 8.0])
def test_distilled_guidance_is_a_number_and_no_second_row(
    consistent: Pair, monkeypatch: pytest.MonkeyPatch, steps: int, guidance: float
) -> None:
    engine, pipeline = consistent
    request = asked(scheduler="lcm", num_inference_steps=steps, guidance_scale=guidance)
    stranger = asked(scheduler="lcm", num_inference_steps=4, guidance_scale=3.0, num_images_per_prompt=1)
    expected = pipeline.draw(request)
    calls = Calls(engine, monkeypatch)
    futures = engine.device_thread.call(lambda: [engine.submit(each) for each in (request, stranger)])
    images, other = (future.result() for future in futures)
    assert difference(images, expected) <= 1
    assert difference(other, pipeline.draw(stranger)) <= 1
    assert sum(calls.rows) == 2 * steps + 4


def test_distilled_guidance_changes_the_picture(consistent: Pair) -> None:
    engine, _ = consistent
    weak, strong = (
        engine.submit(asked(scheduler="lcm", guidance_scale=scale)).result() for scale in (1.0, 12.0)
    )
    assert difference(weak, strong) > 3


@pytest.mark.parametrize("sampler", ["euler_a", "lcm", "dpm++sde"])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_turbo_is_the_pipeline(turbo: Pair, sampler: str, steps: int) -> None:
    engine, pipeline = turbo
    request = asked(scheduler=sampler, num_inference_steps=steps, guidance_scale=0.0)
    assert difference(engine.submit(request).result(), pipeline.draw(request)) <= 1
