"""A model of another family draws through the engine, which knows nothing of it but the protocol."""

from __future__ import annotations

import ast
import itertools
import pkgutil
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from actions import derivation
from generator.companions.shorten import Shortener
from generator.engine.engine import Engine, Progress
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from generator.families.base import Conditions, Family
from generator.worker.attempt import error_code
from prompts import parser, sentences
from prompts.diagnostics import NoteKind
from prompts.preferences import Preferences
from prompts.values import Problem
from storage import model_families
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.contract import ErrorCode, GenerationRequest, Task
from storage.errors import CatalogError, SamplerUnavailable
from storage.model_families import Feature
from storage.tables import Job
from tests.generator import tiny, toy_flow
from tests.generator.reference import difference
from tests.generator.sharing import noisy

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).parents[2]
METHODS = {
    Feature.TILING: "tiling",
    Feature.LORAS: "with_loras",
    Feature.CONTROLS: "with_control",
    Feature.ADAPTERS: "with_adapters",
}
INNARDS = {"unet", "alphas_cumprod", "prediction_type", "StableDiffusion", "StableDiffusionXL"}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(model_families.FAMILIES, "toy", toy_flow.LINE)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_flow.make(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with Engine.open(str(folder), device="cpu") as engine:
        yield engine


def asked(**wish: Any) -> GenerationRequest:
    fields: dict[str, Any] = {
        "prompt": "a red castle",
        "scheduler": "euler",
        "width": 32,
        "height": 32,
        "seed": 7,
    }
    more = {"num_inference_steps": 6, "guidance_scale": 2.0, "num_images_per_prompt": 2}
    return GenerationRequest.model_validate(fields | more | wish)


def shade(image: PIL.Image.Image) -> float:
    return float(np.asarray(image, float).mean())


def test_its_folder_is_known_by_its_pipeline(engine: Engine) -> None:
    assert isinstance(engine.family, toy_flow.ToyFlow)


@torch.inference_mode()
def test_it_draws_what_a_plain_loop_draws(engine: Engine) -> None:
    """Euler's steps over diffusers' noise levels, written out."""
    family = toy_flow.ToyFlow(CPU, torch.float32)
    request = asked(num_images_per_prompt=1)
    words = [family.encode([text])[0] for text in (request.negative_prompt, request.prompt)]
    denoising = toy_flow.FlowDenoising(request.num_inference_steps, None)
    sigmas = denoising._sigmas
    latents = torch.randn((1, 3, 8, 8), generator=torch.Generator().manual_seed(request.seed))
    for sigma, after in itertools.pairwise(sigmas):
        nothing, something = (
            family.predict(latents, torch.tensor([1000 * sigma]), family.joined([{"text": each.tokens}]))
            for each in words
        )
        latents = latents + (after - sigma) * (something + request.guidance_scale * (something - nothing))
    (drawn,) = engine.submit(request).result()
    assert difference([drawn], family.images(family.decode(latents))) <= 1


def test_prompt_guidance_and_seed_all_move_the_picture(engine: Engine) -> None:
    changes: list[dict[str, Any]] = [{}, {"prompt": "a boat"}, {"guidance_scale": 0.0}, {"seed": 8}]
    plain, *others = (engine.submit(asked(**each)).result() for each in changes)
    assert all(difference(plain, other) > 8 for other in others)


def test_alone_and_among_strangers_it_is_the_same(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = asked(num_images_per_prompt=1)
    others = [
        asked(prompt="a much longer prompt about boats on the sea", num_inference_steps=9, seed=1),
        asked(prompt="", guidance_scale=0.0, seed=2, num_inference_steps=3),
        asked(negative_prompt="blue", guidance_scale=5.0, seed=3),
    ]
    alone = engine.submit(mine, alone=True).result()
    rows: list[int] = []
    predict = engine.family.predict

    def counted(latents: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        rows.append(len(latents))
        return predict(latents, timesteps, conditions)

    monkeypatch.setattr(engine.family, "predict", counted)
    futures = engine.device_thread.call(lambda: [engine.submit(each) for each in (mine, *others)])
    among, *_ = [future.result() for future in futures]
    assert difference(alone, among) <= 1
    assert max(rows) == 2 + 4 + 2 + 4


@torch.inference_mode()
def test_texts_of_any_length_share_a_call(engine: Engine) -> None:
    jobs = [RunningJob(engine.family, DrawRequest(asked(prompt=text))) for text in ("a", "a boat at night")]
    for rows in jobs:
        rows.start()
    assert jobs[0].group == jobs[1].group
    assert len({rows.conditions["text"].shape for rows in jobs}) == 2


def test_image_to_image_keeps_more_of_its_picture_at_less_strength(engine: Engine) -> None:
    source = PIL.Image.new("RGB", (32, 32), (250, 250, 250))
    subtle, strong = (
        engine.submit(
            asked(task=Task.IMAGE_TO_IMAGE, parent_image_id=1, strength=strength, num_inference_steps=20),
            image=source,
        ).result()[0]
        for strength in (0.1, 0.9)
    )
    assert abs(shade(subtle) - 250) < abs(shade(strong) - 250)


def test_inpainting_keeps_what_the_mask_leaves_black(engine: Engine) -> None:
    source = toy_flow.ToyFlow(CPU, torch.float32)
    before = source.images(
        source.decode(source.source_latents(source.pixels(noisy(), 32, 32), [torch.Generator()]))
    )
    mask = PIL.Image.new("L", (32, 32))
    mask.paste(255, (0, 0, 16, 32))
    request = asked(task=Task.INPAINTING, parent_image_id=1, mask_key="m.png", strength=1.0)
    after = engine.submit(request, image=before[0], mask=mask).result()
    kept, changed = (16, 0, 32, 32), (0, 0, 16, 32)
    assert difference([before[0].crop(kept)], [after[0].crop(kept)]) <= 1
    assert difference([before[0].crop(changed)], [after[0].crop(changed)]) > 8


def test_previews_come_nearer_to_the_picture(engine: Engine) -> None:
    seen: list[PIL.Image.Image] = []

    def note(progress: Progress) -> None:
        assert progress.preview is not None
        seen.append(progress.preview()[0])

    (drawn,) = engine.submit(asked(num_images_per_prompt=1), on_progress=note).result()
    small = np.asarray(drawn.resize(seen[0].size, PIL.Image.Resampling.BOX), float)
    distances = [float(np.abs(np.asarray(each, float) - small).mean()) for each in seen]
    assert distances[-1] < distances[0]


def test_it_can_be_cancelled_and_stopped_early(engine: Engine) -> None:
    begun = threading.Event()
    future = engine.submit(asked(num_inference_steps=900), on_progress=lambda _: begun.set())
    assert begun.wait(60)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    whole, stopped = (engine.submit(asked(num_images_per_prompt=1, stop=stop)).result() for stop in (100, 50))
    assert difference(whole, stopped) > 0


def test_words_of_its_prompts_are_weighed(engine: Engine) -> None:
    shortened = Shortener(engine.family).shorten("a red castle by the sea")
    assert len(shortened.weights) == 6
    assert max(weight for _, weight in shortened.weights) == 1.0
    assert len({weight for _, weight in shortened.weights}) > 3


def test_what_it_cannot_do_is_refused_by_the_engine(engine: Engine) -> None:
    with pytest.raises(CatalogError, match="tile"):
        engine.submit(asked(tile=True)).result()


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("loras", {"ink": "ink.safetensors"}),
        ("controls", {"depth": {"source": "depth"}}),
        ("adapters", {"style": {"source": "style.safetensors", "image_encoder": "eye"}}),
    ],
)
def test_a_catalog_lists_nothing_that_it_cannot_do(key: str, table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{key}: this kind of model takes none"):
        _entry("toy", **{key: table})
    assert getattr(_entry("sd", **{key: table}), key)


def test_what_it_cannot_do_is_refused_at_the_prompt() -> None:
    toy, able = _entry("toy"), _entry("sd")
    alone, beside = Catalog(default="toy", models={"toy": toy}), _beside(toy, able)
    with pytest.raises(parser.FlagError) as refused:
        parser.parse("a red castle --tile", beside)
    assert refused.value.problem is Problem.UNSUPPORTED
    assert sentences.flag_problems(refused.value.faults) == (
        "TOY cannot do `--tile`: leave it out, or choose a model that can, such as `--model sd`."
    )
    assert parser.parse("a red castle --tile --model sd", beside).request.tile
    with pytest.raises(parser.FlagError) as refused:
        parser.parse("a red castle --tile", alone)
    assert sentences.flag_problems(refused.value.faults) == (
        "TOY cannot do `--tile`, and no other model here can: leave it out."
    )
    parsed = parser.parse("a red castle", beside, Preferences(suffix="--tile"))
    assert not parsed.request.tile
    assert [note.kind for note in parsed.notes] == [NoteKind.SUFFIX_UNUSABLE]
    assert "--tile" not in parsed.text


def test_help_has_no_flag_that_it_cannot_follow() -> None:
    toy, able = _entry("toy"), _entry("sd")
    shown = {
        entry.name: [
            line for line in parser.help_lines(parser.Scope(_beside(toy, able), entry)) if "--tile" in line
        ]
        for entry in (toy, able)
    }
    assert shown["toy"] == []
    assert len(shown["sd"]) == 1


def test_a_job_that_tiles_is_not_drawn_again_by_a_model_that_cannot() -> None:
    job = _job("a red castle --tile", model="toy", tile=True)
    with pytest.raises(parser.FlagError) as refused:
        derivation.with_installed_models(_beside(_entry("toy")), job)
    assert (refused.value.problem, refused.value.echo) == (Problem.UNSUPPORTED, "a red castle --tile")
    assert derivation.with_installed_models(_beside(_entry("toy")), job, redrawn=False).tile


def test_a_job_is_drawn_again_by_a_sampler_that_its_model_runs() -> None:
    """Its model's name stood for a model of another family when it was drawn."""
    job, catalog = _job("a red castle", model="toy", scheduler="heun"), _beside(_entry("toy"))
    assert derivation.with_installed_models(catalog, job).scheduler == "euler"
    assert derivation.with_installed_models(catalog, job, redrawn=False).scheduler == "heun"
    job = _job("a red castle", model="sd", scheduler="heun")
    assert derivation.with_installed_models(_beside(_entry("sd")), job).scheduler == "heun"


def test_a_pasted_sampler_that_it_does_not_run_is_lost_and_said() -> None:
    pasted = "a red castle\nSteps: 20, Sampler: Heun, CFG scale: 7, Seed: 5, Size: 32x32"
    toy, able = (parser.parse(pasted, _beside(_entry(family))) for family in ("toy", "sd"))
    assert (toy.request.scheduler, able.request.scheduler) == ("euler", "heun")
    lost = {note.kind: note.detail for note in toy.notes}
    assert "Heun" in lost[NoteKind.VALUES_LOST]
    assert NoteKind.VALUES_LOST not in {note.kind for note in able.notes}


def test_a_folder_says_by_which_sampler_it_draws(folder: Path, tmp_path: Path) -> None:
    """The family is the folder's, whatever the catalog says, and so is the sampler where it says none."""
    assert _entry("sd", source=str(folder)).scheduler == "euler"
    assert _entry("toy", source=str(tiny.make_sd(tmp_path / "sd"))).scheduler == "ddim"
    assert _entry("toy").scheduler == "euler"
    assert _entry("sd").scheduler == "ddim"
    with pytest.raises(ValueError, match="scheduler: ddim is none of those"):
        _entry("sd", source=str(folder), scheduler="ddim")


def _entry(family: str, **more: Any) -> ModelEntry:
    fields = {"name": family, "title": family.upper(), "source": "nowhere", "sizes": ((32, 32),)}
    return ModelEntry.model_validate({**fields, "family": family, **more})


def _beside(*entries: ModelEntry) -> Catalog:
    return Catalog(default=entries[0].name, models={entry.name: entry for entry in entries})


def _help(*entries: ModelEntry) -> str:
    return "\n".join(parser.help_lines(parser.Scope(_beside(*entries), entries[0])))


def _job(text: str, **wish: Any) -> Job:
    request = asked(**wish)
    return Job(model=request.model, request=request.model_dump(mode="json"), text=text)


@pytest.mark.parametrize("sampler", ["heun", "nonsense"])
def test_a_sampler_that_it_does_not_run_is_refused_with_those_it_does(engine: Engine, sampler: str) -> None:
    with pytest.raises(SamplerUnavailable, match=f"{sampler}.*euler") as refused:
        engine.submit(asked(scheduler=sampler)).result()
    assert error_code(refused.value) is ErrorCode.SAMPLER_UNAVAILABLE


def test_stable_diffusion_with_a_flow_scheduler_is_not_loaded(tmp_path: Path) -> None:
    folder = tiny.make_sd(tmp_path / "flow")
    FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("DDIMScheduler", "FlowMatchEulerDiscreteScheduler"))
    with pytest.raises(CatalogError, match="FlowMatchEulerDiscreteScheduler"):
        loading.load(str(folder), CPU)


@pytest.mark.parametrize("name", sorted(model_families.FAMILIES))
def test_the_registry_says_of_a_family_what_its_class_says(name: str) -> None:
    line = model_families.FAMILIES[name]
    kind = pkgutil.resolve_name(line.code)
    assert Family in kind.__mro__
    assert tuple(kind.samplers) == line.samplers
    overridden = {
        each for each, method in METHODS.items() if getattr(kind, method) is not getattr(Family, method)
    }
    assert overridden == line.features


@pytest.mark.parametrize("room", ["engine", "worker", "companions"])
def test_no_room_but_families_knows_a_models_innards(room: str) -> None:
    for file in sorted((REPOSITORY / "generator" / room).glob("*.py")):
        known = {name for name in names(ast.parse(file.read_text(encoding="utf-8"))) if is_innards(name)}
        assert not known, file


def is_innards(name: str) -> bool:
    return name in INNARDS or "unet" in name.casefold().replace("controlnet", "").split("_")


def names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Constant(value=str(text)) if text.isidentifier():
                yield text


def test_innards_would_be_found() -> None:
    code = "family.unet.config.x\nf(prediction_type=1)\nfrom a import StableDiffusion\ndef unet_input(): ..."
    assert {name for name in names(ast.parse(code)) if is_innards(name)} == {
        "unet", "prediction_type", "StableDiffusion", "unet_input"
    }  # fmt: skip
