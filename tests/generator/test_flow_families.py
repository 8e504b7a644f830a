"""Flow-matching families in the running batch: each draws what diffusers' own pipeline draws alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers import (
    Flux2KleinPipeline,
    QwenImageImg2ImgPipeline,
    QwenImagePipeline,
    ZImageImg2ImgPipeline,
    ZImagePipeline,
)

from generator.conditioning.chat_text import chat_tokens
from generator.engine import Engine
from generator.families import flow_matching, loading
from generator.families.flow_transformer import FlowTransformer
from storage import model_families
from storage.catalog_files import ModelFiles
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Part, Phrase, Task
from storage.errors import CatalogError
from tests.generator.reference import Images, difference
from tests.generator.tiny_flow import make_klein, make_qwen, make_zimage

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class Kind(NamedTuple):
    """A family with a folder of it, and the pipelines that draw the same."""

    family: str
    make: Callable[[Path], Path]
    pipeline: Any
    from_image: Any = None
    reads_negative: bool = True
    scale: str = "guidance_scale"


KINDS = {
    "Z-Image": Kind("zimage", make_zimage, ZImagePipeline, ZImageImg2ImgPipeline),
    "Z-Image of fixed shift": Kind("zimage", partial(make_zimage, dynamic=False), ZImagePipeline),
    "klein": Kind("flux2_klein", make_klein, Flux2KleinPipeline, reads_negative=False),
    "klein, distilled": Kind(
        "flux2_klein", partial(make_klein, distilled=True), Flux2KleinPipeline, reads_negative=False
    ),
    "Qwen-Image": Kind(
        "qwen_image", make_qwen, QwenImagePipeline, QwenImageImg2ImgPipeline, scale="true_cfg_scale"
    ),
}


OFTEN = ("Z-Image", "klein", "Qwen-Image")
"""The others differ from these in a number of their configurations."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(each, id=name, marks=() if name in OFTEN else pytest.mark.exhaustive)
        for name, each in KINDS.items()
    ],
)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def folder(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kind.make(tmp_path_factory.mktemp("flow") / "tiny")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    with Engine.open(str(folder), device="cpu") as opened:
        yield opened


@pytest.fixture(scope="module")
def pipeline(kind: Kind, folder: Path) -> Any:
    loaded = kind.pipeline.from_pretrained(folder, dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def asked(**changes: Any) -> GenerationRequest:
    request = GenerationRequest(
        model="z",
        prompt="a red castle",
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=3.0,
        scheduler="euler",
        seed=7,
        num_images_per_prompt=2,
    )
    return request.changed(**changes)


def by_pipeline(kind: Kind, pipeline: Any, request: GenerationRequest, **more: Any) -> Images:
    count = request.num_images_per_prompt
    negative = {"negative_prompt": request.negative_prompt} if kind.reads_negative else {}
    images: Images = pipeline(
        prompt=request.prompt,
        num_inference_steps=request.num_inference_steps,
        num_images_per_prompt=count,
        generator=[torch.Generator().manual_seed(request.seed_of(k)) for k in range(count)],
        **{kind.scale: request.guidance_scale},
        **negative,
        **({"width": request.width, "height": request.height} | more),
    ).images
    return images


@pytest.mark.parametrize("key", ["unet", "prediction_type", "clip_skip"])
def test_keys_of_other_families_are_refused(folder: Path, key: str) -> None:
    value = {"unet": "u.safetensors", "prediction_type": "epsilon", "clip_skip": 1}[key]
    with pytest.raises(CatalogError, match=f"`{key}` is for Stable Diffusion"):
        loading.load(ModelFiles.model_validate({"source": str(folder), key: value}), torch.device("cpu"))


@pytest.mark.parametrize(
    "keys",
    [
        {"vae": "v.safetensors"},
        {"zero_snr": True},
        {"inpainting": "folder"},
        {"always_loras": {"ink": "ink.safetensors"}},
        {"embeddings": {"ink": "ink.safetensors"}},
        {"memory": "low"},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_the_catalog_takes_no_keys_of_other_families(folder: Path, keys: dict[str, Any]) -> None:
    table = {"name": "m", "title": "M", "source": str(folder), "sizes": [[64, 64]]}
    assert ModelEntry.model_validate(table | {"memory": "full"})
    with pytest.raises(ValueError, match=f"{next(iter(keys))}: this kind of model takes none"):
        ModelEntry.model_validate(table | keys)


STRANGERS: list[dict[str, Any]] = [
    {},
    {"prompt": "fox", "num_inference_steps": 6, "seed": 1},
    {"prompt": "a very long prompt about a green fish in a pond at night", "guidance_scale": 0.0},
    {"prompt": "a boat", "negative_prompt": "a great many words that nobody wants", "guidance_scale": 1.0},
    {"width": 96, "height": 64, "seed": 3},
]


def test_the_folder_says_its_family(kind: Kind, folder: Path) -> None:
    assert model_families.of_folder(str(folder)) == kind.family
    assert tuple(flow_matching.TABLE) == model_families.FAMILIES[kind.family].samplers


def test_strangers_each_draw_what_the_pipeline_draws_alone(kind: Kind, engine: Engine, pipeline: Any) -> None:
    requests = [asked(**changes) for changes in STRANGERS]
    if not kind.reads_negative:
        requests = [request.changed(negative_prompt="") for request in requests]
    futures = [engine.submit(request) for request in requests]
    drawn = [future.result() for future in futures]
    for request, images in zip(requests, drawn, strict=True):
        assert difference(images, by_pipeline(kind, pipeline, request)) <= 1, request.prompt
    assert difference(drawn[0], drawn[1]) > 20
    assert difference(drawn[0][:1], drawn[0][1:]) > 20


def test_jobs_of_any_text_share_a_call(engine: Engine) -> None:
    before = engine.device_thread.meter.read().calls
    futures = [engine.submit(asked(**changes)) for changes in STRANGERS[:4]]
    for future in futures:
        future.result()
    assert engine.device_thread.meter.read().calls - before < 4 + 6 + 4 + 4


@pytest.fixture(scope="module")
def source() -> PIL.Image.Image:
    pixels = np.random.default_rng(1).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels).resize((64, 64), PIL.Image.Resampling.BICUBIC)


FROM_IMAGE = [pytest.param(each, id=name) for name, each in KINDS.items() if each.from_image is not None]


@pytest.mark.parametrize("strength", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("kind", FROM_IMAGE, indirect=True, scope="module")
def test_a_picture_is_gone_on_from_as_by_the_pipeline(
    kind: Kind, engine: Engine, pipeline: Any, source: PIL.Image.Image, strength: float
) -> None:
    request = asked(
        task=Task.IMAGE_TO_IMAGE,
        source_key="source",
        strength=strength,
        num_images_per_prompt=1,
        num_inference_steps=8,
    )
    from_image = kind.from_image(**pipeline.components)
    from_image.set_progress_bar_config(disable=True)
    theirs = by_pipeline(kind, from_image, request, image=source, strength=strength)
    assert difference(engine.submit(request, image=source).result(), theirs) <= 1


def test_what_the_mask_leaves_out_stays(engine: Engine, source: PIL.Image.Image) -> None:
    mask = PIL.Image.new("L", (64, 64))
    mask.paste(255, (32, 0, 64, 64))
    request = asked(
        task=Task.INPAINTING, source_key="source", mask_key="mask", strength=1.0, num_images_per_prompt=1
    )
    (drawn,) = engine.submit(request, image=source, mask=mask).result()
    (other,) = engine.submit(request.changed(prompt="x"), image=source, mask=mask).result()
    kept, new = (0, 0, 16, 64), (40, 0, 64, 64)
    assert (
        difference([drawn.crop(kept)], [other.crop(kept)])
        < difference([drawn.crop(new)], [other.crop(new)]) / 3
    )


@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(name, marks=() if name in ("heun", "dpm++2m_sde") else pytest.mark.exhaustive)
        for name in flow_matching.TABLE
    ],
)
def test_every_sampler_draws_among_strangers_what_it_draws_alone(engine: Engine, sampler: str) -> None:
    request = asked(scheduler=sampler, num_inference_steps=6)
    alone = engine.submit(request).result()
    futures = [engine.submit(asked(**changes)) for changes in STRANGERS[:4]]
    among = engine.submit(request).result()
    for future in futures:
        future.result()
    assert difference(alone, among) <= 1
    assert np.ptp(np.asarray(alone[0])) > 20


@pytest.mark.exhaustive
def test_samplers_agree_at_many_steps(engine: Engine) -> None:
    """All of them follow one flow: with fine steps they come to one picture."""
    euler, *others = (
        engine.submit(asked(scheduler=sampler, num_inference_steps=100, guidance_scale=0.0)).result()
        for sampler in ("euler", "heun", "dpm++2m", "unipc")
    )
    for images in others:
        assert np.abs(np.asarray(images[0], int) - np.asarray(euler[0], int)).mean() < 6


EMPHASIS = (Phrase(text="a "), Phrase(text="red castle", emphasis=3))
FOX = Part(phrases=(Phrase(text="fox"),), weight=2)
FLAGS: dict[str, dict[str, Any]] = {
    "emphasis": {"parts": (Part(phrases=EMPHASIS),)},
    "multi-prompt": {"parts": (Part(phrases=(Phrase(text="a red"),)), FOX)},
    "chaos": {"chaos": 60},
    "weird": {"weird": 1000},
    "style": {"style_words": "watercolor", "style_weight": 600},
    "sameseed": {"sameseed": True},
    "stop": {"stop": 50},
}


@pytest.mark.parametrize("changes", FLAGS.values(), ids=FLAGS)
def test_flags_change_the_picture_and_nothing_for_strangers(engine: Engine, changes: dict[str, Any]) -> None:
    plain, request = asked(), asked(**changes)
    alone = engine.submit(request).result()
    both = [engine.submit(each) for each in (plain, request)]
    before, among = (future.result() for future in both)
    assert difference(among, alone) <= 1
    assert difference(among, before) > 0


def test_emphasis_of_one_is_the_plain_text(engine: Engine) -> None:
    parts = (Part(phrases=(Phrase(text="a red"), Phrase(text=" castle"))),)
    assert difference(engine.submit(asked(parts=parts)).result(), engine.submit(asked()).result()) == 0


def test_marks_within_a_prompt_are_text(engine: Engine) -> None:
    family = engine.family
    assert isinstance(family, FlowTransformer)
    marked, plain = (len(chat_tokens(family.tokenizer, "{}", text, 99).ids) for text in ("<|im_end|>", "x"))
    assert (marked, plain) == (len("<|im_end|>"), 1)


def test_previews_come_with_every_call(engine: Engine) -> None:
    seen: list[Any] = []
    engine.submit(asked(num_inference_steps=8), on_progress=seen.append).result()
    assert [round(each.fraction, 3) for each in seen] == [(call + 1) / 8 for call in range(8)]
    assert [image.size for image in seen[-1].preview()] == [(32, 32)] * 2
    assert difference(seen[-1].preview(), seen[0].preview()) > 20
