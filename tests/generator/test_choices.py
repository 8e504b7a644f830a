"""What a request chooses of what its model has: an upscaler, LoRAs, pictures that steer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from generator.worker.models import Models
from storage import catalog
from storage.config import Config
from storage.contract import Control, ErrorCode, GenerationRequest, JobState, Reference, Role, Task
from storage.image_encoding import png_bytes
from storage.images import INCOMING
from tests.generator import tiny
from tests.generator.reference import difference
from tests.generator.sharing import noisy
from tests.generator.test_tasks import attempt_at, finished, stored, vary
from tests.generator.working import Place

INK = ({"name": "ink", "weight": 1.0},)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choices")
    plain = tiny.make_sd(folder / "plain")
    for seed, name in enumerate(("soft", "crisp")):
        tiny.make_upscaler(folder / name, seed=seed)
    tiny.make_lora(folder / "ink.safetensors", plain)
    tiny.make_image_encoder(folder / "encoder")
    tiny.make_adapter(folder / "style.safetensors", plain)
    tiny.make_control(folder / "edges", plain)
    file = tiny.catalog(folder, {"plain": plain})
    lines = [
        "[models.plain.upscalers]",
        'soft = { source = "soft" }',
        'crisp = { source = "crisp" }',
        "[models.plain.loras]",
        'ink = "ink.safetensors"',
        'gone = "gone.safetensors"',
        "[models.plain.adapters]",
        'style = { source = "style.safetensors", image_encoder = "encoder" }',
        "[models.plain.controls]",
        'edges = { source = "edges", reads = "edges" }',
        'whole = { source = "edges" }',
    ]
    file.write_text("\n".join([file.read_text(), *lines]))
    return file


@pytest.fixture(scope="module")
def choosing(listed: Path) -> Iterator[Models]:
    models = Models(catalog.load(listed), "cpu", "on")
    yield models
    models.close()


@pytest.fixture
def place(config: Config, listed: Path, choosing: Models) -> Iterator[Place]:
    place = Place(config.model_copy(update={"catalog": listed}), choosing)
    yield place
    place.close()


def pictures(place: Place, job_id: int) -> list[PIL.Image.Image]:
    return [stored(place, image.key).convert("RGB") for image in place.images(job_id)]


def test_models_have_the_upscaler_that_is_asked_for(choosing: Models) -> None:
    soft, crisp = choosing.upscaler("plain"), choosing.upscaler("plain", "crisp")
    assert choosing.upscaler("plain", "soft") is soft
    assert choosing.upscaler("plain", "gone") is soft
    assert crisp is not soft
    image = noisy(size=(32, 32))
    assert difference([soft.enlarge(image, 2)], [crisp.enlarge(image, 2)]) > 8


def test_a_job_is_enlarged_by_the_upscaler_it_names(place: Place, choosing: Models) -> None:
    parent = finished(place)
    source = pictures(place, parent)[0]
    wish: dict[str, Any] = {"task": Task.UPSCALE, "scale": 2, "width": 128, "height": 128}
    for name in (None, "soft", "crisp"):
        job_id = vary(place, parent, num_images_per_prompt=1, upscaler=name, **wish)
        attempt_at(place).run()
        expected = choosing.upscaler("plain", name).enlarge(source, 2)
        assert difference(pictures(place, job_id), [expected]) == 0


def test_a_creative_upscale_draws_over_with_the_lora(place: Place) -> None:
    parent = finished(place)
    wish: dict[str, Any] = {"task": Task.UPSCALE, "scale": 2, "width": 128, "height": 128, "creativity": 0.5}
    drawn = []
    for loras in ((), INK):
        job_id = vary(place, parent, num_images_per_prompt=1, loras=loras, **wish)
        attempt_at(place).run()
        drawn.append(pictures(place, job_id))
    assert difference(*drawn) > 8


def test_a_job_whose_lora_is_gone_waits_for_a_worker_that_has_it(place: Place) -> None:
    job_id = place.ask(loras=({"name": "gone", "weight": 1.0},))
    attempt_at(place).run()
    job = place.job(job_id)
    assert (job.state, job.error_code) == (JobState.QUEUED, ErrorCode.MODEL_UNAVAILABLE)


def steering(place: Place, key: str, kind: str | None = None) -> dict[str, Any]:
    if kind is None:
        return {"references": (Reference(role=Role.STYLE, keys=(key,)),)}
    return {"control": Control(kind=kind, key=key)}


@pytest.mark.parametrize("kind", [None, "edges", "whole"])
def test_a_job_is_steered_by_the_picture_of_the_store(
    place: Place, choosing: Models, kind: str | None
) -> None:
    brought = noisy(3, (96, 64))
    key = kept(place, brought)
    job_id = finished(place, **steering(place, key, kind))
    request = GenerationRequest.model_validate(place.job(job_id).request)
    found = pictures(place, job_id)
    cut = brought.crop((16, 0, 80, 64))  # to the shape of what is drawn
    given = {"references": {Role.STYLE: [brought]}} if kind is None else {"control": cut}
    assert difference(found, choosing.engine("plain").submit(request, **given).result()) <= 1
    assert difference(found, pictures(place, finished(place))) > 8


@pytest.mark.parametrize("kind", [None, "edges"])
def test_a_picture_that_is_not_there_fails_the_job(place: Place, kind: str | None) -> None:
    job_id = finished(place, **steering(place, f"{INCOMING}gone.png", kind))
    assert place.job(job_id).error_code == ErrorCode.SOURCE_MISSING


def kept(place: Place, image: PIL.Image.Image) -> str:
    key = f"{INCOMING}brought.png"
    place.backends.images.save(key, png_bytes(image))
    return key


def test_weights_of_loras_leave_before_a_model_does(listed: Path) -> None:
    models = Models(catalog.load(listed), "cpu", "off")
    try:
        engine = models.engine("plain")
        request = GenerationRequest.model_validate(
            {"prompt": "a cat", "width": 64, "height": 64, "seed": 3, "num_inference_steps": 2, "loras": INK}
        )
        first = engine.submit(request).result()
        assert engine.has_variants
        assert engine.size_bytes > engine.family.size_bytes
        models._memory_bytes = engine.size_bytes
        models._make_room(1)
        assert not engine.has_variants
        assert models.loaded() == {"plain"}
        assert difference(engine.submit(request).result(), first) == 0
    finally:
        models.close()
