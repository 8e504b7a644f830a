"""Images that steer: what diffusers' own pipelines draw with an adapter or a control, among strangers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from diffusers import ControlNetModel
from transformers import CLIPVisionModelWithProjection

from generator.conditioning.control_maps import edges
from generator.engine.engine import Engine
from generator.families import loading
from storage.catalog_companions import AdapterEntry, ControlEntry
from storage.catalog_model import ModelEntry
from storage.contract import Control, GenerationRequest, Lora, Reference, Role, Task
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.reference import Images, Pipeline, difference
from tests.generator.sharing import noisy, stable_diffusion

STYLE, SUBJECT = noisy(5), noisy(6)
SEVERAL = [noisy(7), noisy(8), noisy(9)]
LEADING = noisy(10)


def asked(
    control: float | None = None, kind: str = "whole", *, roles: Mapping[Role, float] = {}, **wish: Any
) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, "num_inference_steps": 3}
    steering = {
        "references": tuple(
            Reference(role=role, keys=("k",), weight=weight) for role, weight in roles.items()
        ),
        "control": None if control is None else Control(kind=kind, weight=control, key="k"),
    }
    return GenerationRequest.model_validate(fields | {"num_images_per_prompt": 2} | wish | steering)


@pytest.fixture(
    scope="module",
    params=["sd_folder", pytest.param("sd2_folder", marks=pytest.mark.exhaustive), "sdxl_folder"],
)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def entry(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return tiny.make_steered(tmp_path_factory.mktemp("steering"), folder)


@pytest.fixture(scope="module")
def engine(folder: Path, entry: ModelEntry) -> Iterator[Engine]:
    with Engine.open(str(folder), device="cpu", entry=entry) as engine:
        yield engine


PICTURES: Mapping[Role, list[PIL.Image.Image]] = {
    Role.STYLE: [STYLE],
    Role.IMAGE: SEVERAL,
    Role.SUBJECT: [SUBJECT],
}


def drawn(engine: Engine, request: GenerationRequest, **more: Any) -> Images:
    references = {reference.role: PICTURES[reference.role] for reference in request.references}
    return engine.submit(request, control=LEADING, references=references, **more).result()


def solo(folder: Path, entry: ModelEntry, request: GenerationRequest, *rest: Any) -> Images:
    """diffusers' own pipeline, with its own way of loading."""
    reference = Pipeline(folder)
    more: dict[str, Any] = {}
    for lora in request.loras:
        source = Path(entry.loras[lora.name].source)
        reference.pipeline.load_lora_weights(source.parent, weight_name=source.name)
    roles = [reference.role for reference in request.references]
    if roles:
        adapters = [entry.adapters[role] for role in roles]
        encoder = CLIPVisionModelWithProjection.from_pretrained(adapters[0].image_encoder)
        reference.pipeline.register_modules(image_encoder=encoder)
        reference.pipeline.feature_extractor = None
        files = [Path(each.source, each.file) if each.file else Path(each.source) for each in adapters]
        reference.pipeline.load_ip_adapter(
            [str(file.parent) for file in files],
            subfolder="",
            weight_name=[file.name for file in files],
            image_encoder_folder=None,
        )
        scales: list[Any] = []
        for adapter, given in zip(adapters, request.references, strict=True):
            scale = adapter.scale * given.weight
            scales.append({"up": {"block_0": [0.0, scale]}} if adapter.blocks else scale)
        reference.pipeline.set_ip_adapter_scale(scales)
        more["ip_adapter_image"] = [PICTURES[role] for role in roles]
    if request.control is not None:
        control = entry.controls[request.control.kind]
        more |= {
            "controlnet": ControlNetModel.from_pretrained(control.source),
            "control": edges(LEADING) if control.reads == "edges" else LEADING,
            "controlnet_conditioning_scale": request.control.weight,
        }
    return reference.draw(request, *rest, **more)


REQUESTS = [
    asked(roles={Role.STYLE: 1.0}),
    asked(roles={Role.STYLE: 0.4}, guidance_scale=1.0),
    asked(roles={Role.IMAGE: 1.0}),
    asked(roles={Role.SUBJECT: 1.5}),
    asked(roles={Role.IMAGE: 0.5, Role.STYLE: 1.0, Role.SUBJECT: 0.8}, scheduler="euler_a"),
    asked(1.0),
    asked(0.6, "edges"),
    asked(1.4, guidance_scale=1.0, scheduler="dpm++2m"),
    asked(0.8, roles={Role.STYLE: 1.0}),
    asked(0.8, roles={Role.STYLE: 1.0}, loras=(Lora(name="ink"),)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
def test_a_steered_picture_is_what_the_pipeline_draws(
    engine: Engine, folder: Path, entry: ModelEntry, request_: GenerationRequest
) -> None:
    found = drawn(engine, request_)
    assert difference(found, solo(folder, entry, request_)) <= 1
    unsteered = request_.model_copy(update={"references": (), "control": None})
    assert difference(found, drawn(engine, unsteered)) > 8, "nothing steered it"


@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINTING])
def test_what_begins_with_a_picture_is_steered_too(
    engine: Engine, folder: Path, entry: ModelEntry, task: Task
) -> None:
    # Of several pictures diffusers' inpainting encodes the first one's beginning only, with the first seed.
    wish: dict[str, Any] = {"task": task, "parent_image_id": 1, "strength": 0.7, "num_images_per_prompt": 1}
    mask = PIL.Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    if task is Task.INPAINTING:
        wish |= {"mask_key": "m"}
    request = asked(0.8, roles={Role.STYLE: 1.0}, **wish)
    given = {"image": noisy(), **({"mask": mask} if task is Task.INPAINTING else {})}
    expected = solo(folder, entry, request, *given.values())
    assert difference(drawn(engine, request, **given), expected) <= 1


def test_strangers_change_nothing_about_each_other(engine: Engine) -> None:
    wishes = [
        asked(),
        *REQUESTS,
        asked(0.3, seed=99),
        asked(roles={Role.STYLE: 1.0}, seed=4, num_inference_steps=7),
        asked(tile=True, roles={Role.STYLE: 1.0}, control=1.0),
    ]
    futures = [
        engine.submit(wish, control=LEADING, references=PICTURES if wish.references else {})
        for wish in wishes
    ]
    together = [future.result() for future in futures]
    for wish, images in zip(wishes, together, strict=True):
        assert difference(images, drawn(engine, wish)) <= 1


@pytest.mark.parametrize(
    "wishes", [[asked(0.2), asked(1.8)], [asked(roles={Role.STYLE: 0.1}), asked(roles={Role.STYLE: 2.0})]]
)
def test_rows_share_a_call_at_weights_of_their_own(engine: Engine, wishes: list[GenerationRequest]) -> None:
    before = engine.device_thread.meter.read().calls
    light, heavy = (
        engine.submit(wish, control=LEADING, references=PICTURES if wish.references else {})
        for wish in wishes
    )
    assert difference(light.result(), heavy.result()) > 8
    assert engine.device_thread.meter.read().calls - before < 2 * 3


def test_the_plain_model_has_nothing_of_them(engine: Engine, folder: Path) -> None:
    for request in REQUESTS:
        drawn(engine, request)
    with Engine.open(str(folder), device="cpu") as untouched:
        alone = untouched.submit(asked()).result()
    assert [image.tobytes() for image in drawn(engine, asked())] == [image.tobytes() for image in alone]


def test_one_encoder_and_one_control_are_loaded_for_all_that_share_them(engine: Engine) -> None:
    both = stable_diffusion(engine._variants.of(asked(0.5, roles={Role.STYLE: 1.0, Role.IMAGE: 1.0})))
    style, image = (both.adapters[role].encoder for role in (Role.STYLE, Role.IMAGE))
    assert style is image
    assert engine._variants.of(asked(0.5, roles={Role.STYLE: 0.9, Role.IMAGE: 1.0})) is both
    assert both.control is not None
    assert stable_diffusion(engine._variants.of(asked(0.9))).control is both.control


@torch.inference_mode()
def test_projections_fused_for_a_gpu_are_read_beside_as_well(folder: Path, entry: ModelEntry) -> None:
    plain, gpu = (stable_diffusion(loading.load(str(folder), torch.device("cpu"))) for _ in range(2))
    gpu.unet.fuse_qkv_projections()
    chosen = {Role.STYLE: entry.adapters[Role.STYLE]}
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    words = plain.conditions([plain.prompts["a fox"]] * 2, [], size=(64, 64), guidance_scale=1.0)
    times = torch.full((2,), 500.0)
    one, other = (
        clone.predict(
            latents, times, words | clone.reference_conditions(PICTURES, {Role.STYLE: 1.0}, 2, guided=False)
        )
        for clone in (family.with_adapters(chosen) for family in (plain, gpu))
    )
    assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(one, plain.predict(latents, times, words), atol=1e-2)


def test_what_cannot_be_used_fails_the_job_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    encoder = str(tiny.make_image_encoder(tmp_path / "encoder"))
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    torn, gone = str(tmp_path / "torn.safetensors"), str(tmp_path / "gone")
    good = str(tiny.make_adapter(tmp_path / "good.safetensors", folder))
    entry = ModelEntry(
        name="m",
        title="M",
        source=str(folder),
        sizes=((64, 64),),
        adapters={
            Role.STYLE: AdapterEntry(source=torn, image_encoder=encoder),
            Role.IMAGE: AdapterEntry(source=good, image_encoder=gone),
        },
        controls={"edges": ControlEntry(source=gone)},
    )
    faults = {
        "The image adapter at .*torn.safetensors cannot be used: .": asked(roles={Role.STYLE: 1.0}),
        "The image encoder at .*gone cannot be used: .": asked(roles={Role.IMAGE: 1.0}),
        "no image adapter for 'subject'": asked(roles={Role.SUBJECT: 1.0}),
        "The control network at .*gone cannot be used: .": asked(1.0, "edges"),
        "no control 'depth'": asked(1.0, "depth"),
    }
    with Engine.open(str(folder), device="cpu", entry=entry) as engine:
        for sentence, request in faults.items():
            with pytest.raises(CatalogError, match=sentence):
                drawn(engine, request)
        engine.submit(asked()).result()


def test_a_picture_that_lacks_is_said(engine: Engine) -> None:
    with pytest.raises(ValueError, match="a picture that leads"):
        engine.submit(asked(1.0, "edges")).result()
    with pytest.raises(ValueError, match="'style' needs a picture"):
        engine.submit(asked(roles={Role.STYLE: 1.0})).result()
