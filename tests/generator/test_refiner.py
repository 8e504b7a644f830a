"""Base and refiner share a job: what diffusers' two pipelines draw one after the other, among strangers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from typer.testing import CliRunner

from easel.__main__ import app
from generator.engine.engine import Engine
from generator.engine.running_job import Progress
from generator.families import schedulers
from generator.worker.models import Models
from storage import catalog
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Task
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.reference import Images, difference
from tests.generator.sharing import noisy

SAMPLERS = ("euler", "ddim", "euler_a", "dpm++2m", "heun", "unipc", "dpm++2m_sde_karras", "kdpm2")


@pytest.fixture(scope="module")
def refiner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_refiner(tmp_path_factory.mktemp("refiner"))


def entry_of(source: Path, refiner: Path) -> ModelEntry:
    return ModelEntry(
        name="m", title="M", source=str(source), refiner=str(refiner), sizes=((64, 64),), family="sdxl"
    )


@pytest.fixture(scope="module")
def entry(sdxl_folder: Path, refiner_folder: Path) -> ModelEntry:
    return ModelEntry(
        name="m",
        title="M",
        source=str(sdxl_folder),
        refiner=str(refiner_folder),
        sizes=((64, 64),),
        family="sdxl",
    )


@pytest.fixture(scope="module")
def engine(entry: ModelEntry) -> Iterator[Engine]:
    with Engine.open(entry.source, device="cpu", entry=entry) as engine:
        yield engine


def asked(**wish: Any) -> GenerationRequest:
    fields = {"prompt": "a cat", "negative_prompt": "a dog", "width": 64, "height": 64, "seed": 7}
    fields |= {"num_inference_steps": 10, "num_images_per_prompt": 2, "scheduler": "euler", "refine": 0.7}
    return GenerationRequest.model_validate(fields | wish)


def solo(entry: ModelEntry, request: GenerationRequest, image: Any = None) -> Images:
    """The ensemble of experts of diffusers' documentation, with its own way of loading."""
    kind: Any = StableDiffusionXLPipeline if image is None else StableDiffusionXLImg2ImgPipeline
    base = kind.from_pretrained(entry.source)
    refiner = StableDiffusionXLImg2ImgPipeline.from_pretrained(entry.refiner)
    shared: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "num_images_per_prompt": request.num_images_per_prompt,
        "generator": [torch.Generator().manual_seed(request.seed_of(index)) for index in range(2)],
    }
    for pipeline in (base, refiner):
        pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = schedulers.build(request.scheduler, pipeline.scheduler.config)
    first = {"width": 64, "height": 64} if image is None else {"image": image, "strength": request.strength}
    latents = base(**shared, **first, denoising_end=request.refine, output_type="latent").images
    shared |= {"prompt": [request.prompt] * 2, "num_images_per_prompt": 1}
    if request.negative_prompt:
        shared["negative_prompt"] = [request.negative_prompt] * 2
    images: Images = refiner(**shared, image=latents, denoising_start=request.refine).images
    return images


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_is_the_two_pipelines(engine: Engine, entry: ModelEntry, sampler: str) -> None:
    request = asked(scheduler=sampler)
    found = engine.submit(request).result()
    assert difference(found, solo(entry, request)) <= 1
    assert difference(found, engine.submit(request.changed(refine=1.0)).result()) > 8, "nothing refined it"


@pytest.mark.parametrize(
    "wish",
    [
        {"guidance_scale": 1.0},
        {"negative_prompt": ""},
        {"refine": 0.2},
        {"refine": 0.8, "num_inference_steps": 25},
    ],
    ids=str,
)
def test_it_is_the_two_pipelines_for_other_wishes(engine: Engine, entry: ModelEntry, wish: Any) -> None:
    request = asked(**wish)
    assert difference(engine.submit(request).result(), solo(entry, request)) <= 1


def test_a_variation_is_refined_too(engine: Engine, entry: ModelEntry) -> None:
    request = asked(task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=0.6)
    found = engine.submit(request, image=noisy()).result()
    assert difference(found, solo(entry, request, noisy())) <= 1


def test_a_picture_that_is_hardly_changed_is_the_models_own(engine: Engine) -> None:
    request = asked(task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=0.1)
    refined, plain = (
        engine.submit(wish, image=noisy()).result() for wish in (request, request.changed(refine=1.0))
    )
    assert [image.tobytes() for image in refined] == [image.tobytes() for image in plain]


def test_from_the_start_the_refiner_draws_all(engine: Engine, refiner_folder: Path) -> None:
    request = asked(refine=0.0)
    found = engine.submit(request).result()
    assert difference(found, engine.submit(asked(refine=0.3)).result()) > 8
    before = engine.device_thread.meter.read().calls
    engine.submit(request).result()
    assert engine.device_thread.meter.read().calls - before == request.num_inference_steps


def test_strangers_change_nothing_and_share_the_refiners_calls(engine: Engine) -> None:
    wishes = [
        asked(),
        asked(seed=1, refine=0.5),
        asked(refine=1.0),
        asked(scheduler="heun", num_inference_steps=6),
        asked(guidance_scale=1.0, refine=0.4),
        asked(tile=True),
    ]
    before = engine.device_thread.meter.read().calls
    together = [future.result() for future in [engine.submit(wish) for wish in wishes]]
    calls = engine.device_thread.meter.read().calls - before
    alone = [engine.submit(wish).result() for wish in wishes]
    assert calls < 0.8 * (engine.device_thread.meter.read().calls - before - calls)
    for some, others in zip(together, alone, strict=True):
        assert difference(some, others) <= 1
    assert difference(engine.submit(wishes[0], alone=True).result(), together[0]) <= 1


def test_progress_and_previews_go_over_both(engine: Engine) -> None:
    told: list[Progress] = []
    engine.submit(asked(num_images_per_prompt=1), on_progress=told.append).result()
    assert [round(each.fraction, 3) for each in told] == [call / 10 for call in range(1, 11)]
    assert all(each.preview is not None and each.preview()[0].size == (32, 32) for each in told)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_job_is_cancelled_on_either_side(engine: Engine, share: float) -> None:
    reached: list[float] = []

    def cancel(progress: Progress) -> None:
        reached.append(progress.fraction)
        if progress.fraction >= share:
            future.cancel()

    future = engine.submit(asked(num_inference_steps=60, refine=0.5), on_progress=cancel)
    with pytest.raises(CancelledError):
        future.result()
    assert reached[-1] < 1
    assert engine.submit(asked()).result()


def test_it_counts_in_memory_and_comes_with_the_model(
    tmp_path: Path, sdxl_folder: Path, refiner_folder: Path
) -> None:
    listed = catalog.load(
        tiny.catalog(tmp_path, {"plain": sdxl_folder}, refiner=str(refiner_folder), family="sdxl")
    )
    with closing(Models(listed, "cpu", "off")) as models:
        engine = models.engine("plain")
        assert engine.size_bytes > 1.5 * engine.family.size_bytes
        assert models.device_thread.meter.read().memory.weights == engine.size_bytes
        assert models.engine("plain", Task.INPAINTING) is engine


@pytest.mark.parametrize("load", [False, True])
def test_models_check_looks_at_the_refiner(
    tmp_path: Path, sdxl_folder: Path, refiner_folder: Path, monkeypatch: pytest.MonkeyPatch, load: bool
) -> None:
    arguments = ["models", "check", *(["--load"] if load else [])]
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EASEL_CATALOG", str(tmp_path / "catalog.toml"))
    checker = tmp_path / "checker"
    tiny.safety_checker().save_pretrained(checker)
    tiny.make_image_encoder(checker / "processor")
    (checker / "processor" / "preprocessor_config.json").rename(checker / "preprocessor_config.json")
    wrong = sdxl_folder if load else tmp_path / "gone"
    for refiner, code in ((refiner_folder, 0), (wrong, 1)):
        fields: dict[str, Any] = {"refiner": str(refiner), "family": "sdxl", "safety_checker": str(checker)}
        tiny.catalog(tmp_path, {"plain": sdxl_folder}, **fields)
        said = CliRunner().invoke(app, arguments)
        assert said.exit_code == code, said.output
    assert (
        "this is to be a Stable Diffusion XL refiner" if load else "its `refiner` cannot be used"
    ) in said.output


def test_what_is_no_refiner_is_refused(tmp_path: Path, sdxl_folder: Path) -> None:
    entry = ModelEntry(
        name="m",
        title="M",
        source=str(sdxl_folder),
        refiner=str(sdxl_folder),
        sizes=((64, 64),),
        family="sdxl",
    )
    with pytest.raises(CatalogError, match="it is no refiner of Stable Diffusion XL"):
        Engine.open(entry.source, device="cpu", entry=entry)
    with pytest.raises(ValueError, match="only Stable Diffusion XL has one"):
        ModelEntry(name="m", title="M", source="none", refiner="none", sizes=((64, 64),))
