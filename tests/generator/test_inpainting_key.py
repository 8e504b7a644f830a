"""A model with a second checkpoint: that one draws regions, zooms and pans, its own draws all else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from easel.__main__ import app
from generator.conditioning import compositing
from generator.worker import weight_hashes
from generator.worker.models import Models
from storage import catalog, file_hashes
from storage.catalog_model import ModelEntry
from storage.config import Config
from storage.contract import GenerationRequest, JobState, Task
from storage.database import Database
from storage.errors import CatalogError
from tests.generator import original_layout, tiny
from tests.generator.reference import Pipeline, difference
from tests.generator.test_engine_exact import asked, picture
from tests.generator.test_inpainting import left_half, repaint
from tests.generator.test_tasks import attempt_at, finished, stored, vary
from tests.generator.working import Place


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory, sd_folder: Path, inpainting_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("listed")
    return tiny.catalog(folder, {"plain": sd_folder}, inpainting=str(inpainting_folder))


@pytest.fixture(scope="module")
def models(listed: Path) -> Iterator[Models]:
    with closing(Models(catalog.load(listed), "cpu")) as models:
        yield models


def test_a_part_is_what_the_inpainting_pipeline_draws(
    models: Models, sd_folder: Path, inpainting_folder: Path
) -> None:
    part, whole = repaint(strength=0.8, model="plain"), asked(model="plain")
    stranger = models.engine("plain").submit(asked(seed=9))
    found = models.engine("plain", part.task).submit(part, image=picture(), mask=left_half()).result()
    assert difference(found, Pipeline(inpainting_folder).draw(part, picture(), left_half())) <= 1
    drawn = models.engine("plain", whole.task).submit(whole).result()
    assert difference(drawn, Pipeline(sd_folder).draw(whole)) <= 1
    stranger.result()


def test_both_share_the_thread_count_in_memory_and_leave_apart(listed: Path) -> None:
    with closing(Models(catalog.load(listed), "cpu")) as probe:
        one = probe.engine("plain").size_bytes
        other = probe.engine("plain", Task.INPAINTING).size_bytes
        assert probe.device_thread.meter.read().memory.weights == one + other
        assert probe.engine("plain") is probe.engine("plain", Task.IMAGE_TO_IMAGE)
    with closing(Models(catalog.load(listed), "cpu", memory_bytes=one + other - 1)) as models:
        first = models.engine("plain")
        models.engine("plain", Task.INPAINTING)
        assert models.loaded() == {"plain"}
        assert models.engine("plain") is not first, "it made room for the other"


@pytest.fixture
def place(tmp_path: Path, listed: Path, models: Models) -> Iterator[Place]:
    config = Config(data_dir=tmp_path, catalog=listed, broker_url=SecretStr("memory://"))
    database = Database(config.database)
    database.upgrade()
    database.close()
    place = Place(config, models)
    yield place
    place.close()


def test_a_members_region_is_drawn_by_it(place: Place) -> None:
    parent = finished(place)
    source = stored(place, place.images(parent)[0].key)
    file = io.BytesIO()
    left_half().save(file, "PNG")
    place.backends.images.save("masks/1.png", file.getvalue())
    wish: dict[str, Any] = {"task": Task.INPAINTING, "mask_key": "masks/1.png", "strength": 1.0}
    job_id = vary(place, parent, num_images_per_prompt=1, **wish)
    attempt = attempt_at(place)
    attempt.run()
    assert place.job(job_id).state == JobState.SUCCEEDED, place.job(job_id).error_detail
    soft = compositing.soft_mask(left_half())
    drawn = []
    for task in (Task.INPAINTING, Task.TEXT_TO_IMAGE):
        future = place.models.engine("plain", task).submit(attempt.claim.request, image=source, mask=soft)
        drawn.append(compositing.composite(future.result()[0], source, left_half(), soft=True))
    found = [stored(place, place.images(job_id)[0].key)]
    assert difference(found, drawn[:1]) <= 1
    assert difference(found, drawn[1:]) > 8


def test_one_that_reads_no_mask_is_refused(tmp_path: Path, sd_folder: Path) -> None:
    other = tiny.make_sd(tmp_path / "other")
    listed = catalog.load(tiny.catalog(tmp_path, {"plain": sd_folder}, inpainting=str(other)))
    with closing(Models(listed, "cpu")) as models:
        assert models.engine("plain").submit(asked()).result()
        with pytest.raises(CatalogError, match=r"other was not made for inpainting: its UNet reads no mask"):
            models.engine("plain", Task.INPAINTING)


def test_regions_are_read_and_guided_as_the_rest(
    tmp_path: Path, sd_folder: Path, inpainting_folder: Path
) -> None:
    more: dict[str, Any] = {"clip_skip": 1, "guidance_rescale": 0.7}
    file = tiny.catalog(tmp_path, {"plain": sd_folder}, inpainting=str(inpainting_folder), **more)
    files = catalog.load(file)["plain"].files_for(Task.INPAINTING)
    assert files.source == str(inpainting_folder)
    assert (files.clip_skip, files.guidance_rescale) == (1, 0.7)


def test_one_of_another_family_is_refused(tmp_path: Path, sd_folder: Path, sdxl_folder: Path) -> None:
    with pytest.raises(CatalogError, match="inpainting: it is of the family 'sdxl', and the model of 'sd'"):
        catalog.load(tiny.catalog(tmp_path, {"plain": sd_folder}, inpainting=str(sdxl_folder)))


def test_single_files_are_told_apart_too(tmp_path: Path, sd_folder: Path, sdxl_folder: Path) -> None:
    files = [
        original_layout.write(each, tmp_path / f"{each.name}.safetensors")
        for each in (sd_folder, sdxl_folder)
    ]
    own = {"name": "m", "title": "M", "sizes": [[64, 64]], "source": str(files[1])}
    assert (
        ModelEntry.model_validate(own | {"inpainting": str(sdxl_folder), "refiner": "r"}).family_name
        == "sdxl"
    )
    with pytest.raises(ValueError, match="inpainting: it is of the family 'sd', and the model of 'sdxl'"):
        ModelEntry.model_validate(own | {"inpainting": str(files[0])})


def test_pictures_name_the_weights_that_drew_them(
    listed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(file_hashes, "_folder", lambda: tmp_path / "hashes")
    models = catalog.load(listed)
    part: GenerationRequest = repaint(model="plain")
    hashes = [weight_hashes.hashes_of(wish, models).model for wish in (part, asked(model="plain"))]
    assert all(hashes)
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize("load", [False, True])
def test_models_check_looks_at_both(
    listed: Path, tmp_path: Path, sd_folder: Path, monkeypatch: pytest.MonkeyPatch, load: bool
) -> None:
    arguments = ["models", "check", *(["--load"] if load else [])]
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EASEL_CATALOG", str(listed))
    fine = CliRunner().invoke(app, arguments)
    assert fine.exit_code == 0, fine.output
    for other, reason in {tmp_path / "gone": "gone does not exist", sd_folder: "reads no mask"}.items():
        wrong = tiny.catalog(tmp_path, {"plain": sd_folder}, inpainting=f"{other}")
        monkeypatch.setenv("EASEL_CATALOG", str(wrong))
        refused = CliRunner().invoke(app, arguments)
        assert refused.exit_code == 1
        assert "its `inpainting` cannot be used: " in refused.output
        assert reason in refused.output


def test_models_check_finds_a_checkpoint_for_inpainting_fine_by_itself(
    tmp_path: Path, inpainting_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EASEL_CATALOG", str(tiny.catalog(tmp_path, {"plain": inpainting_folder})))
    fine = CliRunner().invoke(app, ["models", "check", "--load"])
    assert fine.exit_code == 0, fine.output
