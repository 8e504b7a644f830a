"""Single files: alone, by the layouts that ship with Easel, or with a folder beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline, EDMEulerScheduler
from safetensors.torch import load_file, save_file

from generator.engine.engine import Engine
from generator.families import checkpoints, clip_vocabulary, loading, single_files
from generator.families.checkpoints import LAYOUTS, UNET
from storage.catalog_files import ModelFiles
from storage.contract import Task
from storage.errors import CatalogError
from tests.generator import header_only, original_layout, tiny
from tests.generator.drawing import asked, drawn, layout, marked, rewritten, scheduled
from tests.generator.reference import Pipeline, difference
from tests.generator.sharing import noisy, stable_diffusion

CPU = torch.device("cpu")

Ship = Callable[[str, Path], None]


def words(layout: str) -> Any:
    return clip_vocabulary.tokenizer(LAYOUTS / layout / "tokenizer")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("single")


@pytest.fixture(scope="module")
def sd(place: Path) -> Path:
    return tiny.make_sd(place / "sd", tokens=words("sd-1.5"))


@pytest.fixture(scope="module")
def sd_inpainting(place: Path) -> Path:
    return tiny.make_sd(place / "inpainting", tokens=words("sd-1.5"), in_channels=9)


@pytest.fixture(scope="module")
def sd2(place: Path) -> Path:
    return tiny.make_sd(place / "sd2", tokens=words("sd-2-base"), prediction_type="v_prediction", seed=3)


@pytest.fixture(scope="module")
def xl(place: Path) -> Path:
    return tiny.make_sdxl(place / "xl", tokens=words("sd-1.5"), second_width=48)


@pytest.fixture(scope="module")
def xl_inpainting(place: Path) -> Path:
    return tiny.make_sdxl(place / "xli", tokens=words("sd-1.5"), second_width=48, in_channels=9)


@pytest.fixture(scope="module")
def xl_folder(place: Path) -> Path:
    """Which text encoder of a file is which, diffusers knows by their widths."""
    return tiny.make_sdxl(place / "small", second_width=48)


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Have the tiny folder's configuration ship in the place of the published one, as little as of that."""

    def shipping(name: str, folder: Path) -> None:
        layout = tmp_path / "layouts" / name
        shutil.copytree(folder, layout, ignore=shutil.ignore_patterns("*.safetensors", "tokenizer*"))
        for tokenizer in (LAYOUTS / name).glob("tokenizer*"):
            shutil.copytree(tokenizer, layout / tokenizer.name)
        monkeypatch.setattr(checkpoints, "LAYOUTS", tmp_path / "layouts")

    return shipping


def published(folder: Path, layout: str) -> Pipeline:
    """The folder's pipeline; its second tokenizer fills up with "!", as the published one does."""
    pipeline = Pipeline(folder)
    second = checkpoints.LAYOUTS / layout / "tokenizer_2"
    if second.is_dir():
        pipeline.pipeline.tokenizer_2 = clip_vocabulary.tokenizer(second)
    return pipeline


@pytest.mark.parametrize(
    ("model", "layout", "open_clip"),
    [("sd", "sd-1.5", False), ("sd2", "sd-2.1-768", True), ("xl", "sdxl-base", False)],
)
def test_a_file_alone_draws_what_its_pipeline_draws(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    ship: Ship,
    model: str,
    layout: str,
    open_clip: bool,
) -> None:
    folder: Path = request.getfixturevalue(model)
    ship(layout, folder)
    file = original_layout.write(folder, tmp_path / "mine.safetensors", open_clip=open_clip)
    wish = asked(prompt="a red castle, 红色 🏰", num_inference_steps=3)
    assert difference(drawn(file, wish), published(folder, layout).draw(wish)) <= 1


@pytest.mark.parametrize(
    ("model", "layout"),
    [
        ("sd_inpainting", "sd-1.5-inpainting"),
        pytest.param("xl_inpainting", "sdxl-inpainting", marks=pytest.mark.exhaustive),
    ],
)
def test_an_inpainting_file_alone_draws_what_its_pipeline_draws(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    ship: Ship,
    model: str,
    layout: str,
) -> None:
    folder: Path = request.getfixturevalue(model)
    ship(layout, folder)
    file = original_layout.write(folder, tmp_path / "mine.safetensors")
    image, mask = noisy(), noisy(1).convert("L").point(lambda grey: 255 * (grey > 128))
    wish = asked(task=Task.INPAINTING, strength=1.0, parent_image_id=1, mask_key="m.png")
    with Engine.open(str(file), device="cpu") as engine:
        found = engine.submit(wish, image=image, mask=mask).result()
    expected = [
        published(folder, layout).draw(alone, image, mask)[0]
        for alone in (wish.changed(seed=wish.seed + k, num_images_per_prompt=1) for k in range(2))
    ]
    assert difference(found, expected) <= 1


def test_markers_of_v_prediction_and_pure_noise_are_heeded(xl_folder: Path, tmp_path: Path) -> None:
    """A folder beside the file may be any base model's; its own markers tell how it was trained."""
    layout(tmp_path / "mine", of=xl_folder)
    file = marked(xl_folder, tmp_path / "mine.safetensors", "v_pred", "ztsnr")
    trained = {"prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    expected = Pipeline(scheduled(xl_folder, tmp_path / "v", **trained, rescale_betas_zero_snr=True))
    with Engine.open(str(file), device="cpu") as engine:
        for sampler in ("euler", "dpm++2m_karras", "ddim"):
            wish = asked(scheduler=sampler)
            assert difference(engine.submit(wish).result(), expected.draw(wish)) <= 1


@pytest.mark.parametrize(
    ("metadata", "prediction"),
    [
        ({"modelspec.prediction_type": "v"}, "v_prediction"),
        ({"modelspec.prediction_type": "epsilon"}, "epsilon"),
        ({"modelspec.architecture": "stable-diffusion-v2-512"}, "epsilon"),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v_prediction"),
    ],
)
def test_what_a_file_of_the_second_kind_predicts_is_read_of_its_metadata(
    sd2_folder: Path,
    tmp_path: Path,
    ship: Ship,
    metadata: dict[str, str],
    prediction: str,
) -> None:
    ship("sd-2.1-768", sd2_folder)
    ship("sd-2-base", scheduled(sd2_folder, tmp_path / "base", prediction_type="epsilon"))
    file = original_layout.write(sd2_folder, tmp_path / "mine.safetensors", open_clip=True)
    family = loading.load(str(rewritten(file, metadata=metadata)), CPU)
    scheduler = stable_diffusion(family).schedulers.new("ddim", 1)
    assert scheduler.config.prediction_type == prediction


class FromV(torch.nn.Module):
    """A trained UNet of v-prediction, speaking of the noise instead."""

    def __init__(self, unet: Any, alphas: torch.Tensor) -> None:
        super().__init__()
        self.unet, self.alphas, self.config = unet, alphas, unet.config
        self.device, self.dtype = unet.device, unet.dtype

    def forward(self, latents: torch.Tensor, timestep: torch.Tensor, **given: Any) -> tuple[torch.Tensor]:
        (found,) = self.unet(latents, timestep, **given)
        alpha = self.alphas[timestep]
        return (alpha.sqrt() * found + (1 - alpha).sqrt() * latents,)


def test_what_a_trained_model_predicts_is_found(picturebook_folder: Path) -> None:
    pipeline = DiffusionPipeline.from_pretrained(picturebook_folder)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert not single_files.predicts_noise(pipeline.unet)
    assert single_files.predicts_noise(FromV(pipeline.unet, pipeline.scheduler.alphas_cumprod))


@pytest.mark.parametrize("finds_noise", [True, False])
def test_a_silent_file_of_the_second_kind_is_tried(
    sd2_folder: Path,
    tmp_path: Path,
    ship: Ship,
    monkeypatch: pytest.MonkeyPatch,
    finds_noise: bool,
) -> None:
    ship("sd-2.1-768", sd2_folder)
    base = scheduled(sd2_folder, tmp_path / "base", prediction_type="epsilon")
    config = base / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sample_size": 4}))
    ship("sd-2-base", base)
    file = original_layout.write(sd2_folder, tmp_path / "mine.safetensors", open_clip=True)
    monkeypatch.setattr(single_files, "predicts_noise", lambda _: finds_noise)
    family = stable_diffusion(loading.load(str(file), CPU))
    found = family.schedulers.new("ddim", 1).config.prediction_type, family.native_side
    assert found == (("epsilon", 32) if finds_noise else ("v_prediction", 64))


def test_a_layout_of_the_other_kind_is_refused_until_the_catalog_says(
    sd2_folder: Path, tmp_path: Path
) -> None:
    """As a file of 2.1 at 768 pixels beside the folder of 2-base."""
    base = scheduled(sd2_folder, tmp_path / "base", prediction_type="epsilon")
    layout(tmp_path / "mine", of=base)
    file = original_layout.write(sd2_folder, tmp_path / "mine.safetensors", open_clip=True)
    sentence = r"it seems to be of v_prediction, and the layout in .*mine is of epsilon\. Say which it is"
    with pytest.raises(CatalogError, match=sentence):
        loading.load(str(file), CPU)
    assert difference(drawn(file, prediction_type="epsilon"), Pipeline(base).draw(asked())) <= 1
    right = drawn(file, prediction_type="v_prediction")
    assert difference(right, Pipeline(sd2_folder).draw(asked())) <= 1


def test_the_catalogs_word_on_noise_goes_before_all_others(sd_folder: Path, tmp_path: Path) -> None:
    """Its own folder, a layout and a marker say otherwise."""
    v = scheduled(sd_folder, tmp_path / "v", prediction_type="v_prediction")
    assert difference(drawn(sd_folder, prediction_type="v_prediction"), Pipeline(v).draw(asked())) <= 1
    assert difference(drawn(v, prediction_type="epsilon"), Pipeline(sd_folder).draw(asked())) <= 1
    file = marked(sd_folder, tmp_path / "mine.safetensors", "v_pred", "ztsnr")
    layout(tmp_path / "mine", of=v)
    plain = drawn(file, prediction_type="epsilon", zero_snr=False)
    assert difference(plain, Pipeline(sd_folder).draw(asked())) <= 1


def test_the_names_of_the_first_year_are_read(sd_folder: Path, tmp_path: Path) -> None:
    file = original_layout.write(sd_folder, tmp_path / "mine.safetensors")
    layout(tmp_path / "mine", of=sd_folder)
    old = {name.replace(".text_model.", "."): each for name, each in load_file(file).items()}
    save_file(old, file)
    assert difference(drawn(file), Pipeline(sd_folder).draw(asked())) <= 1


@pytest.mark.parametrize("part", ["input_blocks.1", "output_blocks.0"])
def test_a_file_that_lacks_tensors_or_has_more_is_refused(sd_folder: Path, tmp_path: Path, part: str) -> None:
    file = original_layout.write(sd_folder, tmp_path / "m.safetensors")
    layout(tmp_path / "m", of=sd_folder)
    whole = load_file(file)
    lost = next(
        name for name in whole if name.startswith(f"{UNET}{part}") and name.endswith("emb_layers.1.bias")
    )
    save_file({name: each for name, each in whole.items() if name != lost}, file)
    with pytest.raises(CatalogError, match=r"it lacks some of the tensors that its configuration asks for"):
        loading.load(str(file), CPU)
    save_file(whole | {f"{UNET}{part}.7.weight": torch.zeros(0)}, file)
    with pytest.raises(CatalogError, match="its UNet has 1 tensors more than the layout in"):
        loading.load(str(file), CPU)


def test_a_refiner_is_no_model_by_itself(tmp_path: Path) -> None:
    shapes = {
        "conditioner.embedders.0.model.ln_final.bias": (1280,),
        "first_stage_model.decoder.conv_in.bias": (512,),
        f"{UNET}input_blocks.0.0.weight": (384, 4, 3, 3),
    }
    file = header_only.write(tmp_path / "refiner.safetensors", shapes)
    with pytest.raises(CatalogError, match="name it as the `refiner` of a model"):
        loading.load(str(file), CPU)


def test_other_noise_and_other_numbers_are_refused_by_name(
    sd_folder: Path, xl_folder: Path, tmp_path: Path
) -> None:
    for marker in ("edm_mean", "edm_vpred.sigma_max"):
        file = marked(xl_folder, tmp_path / "edm.safetensors", marker)
        with pytest.raises(CatalogError, match="EDM noise schedule"):
            loading.load(str(file), CPU)
    edm = Path(shutil.copytree(xl_folder, tmp_path / "edm"))
    EDMEulerScheduler(prediction_type="v_prediction", sigma_data=1.0).save_pretrained(edm / "scheduler")
    index = edm / "model_index.json"
    index.write_text(
        json.dumps(json.loads(index.read_text()) | {"scheduler": ["diffusers", "EDMEulerScheduler"]})
    )
    with pytest.raises(CatalogError, match="EDM noise schedule"):
        loading.load(str(edm), CPU)
    whole = load_file(original_layout.write(sd_folder, tmp_path / "whole.safetensors"))
    for name in ("scaled_fp8", f"{UNET}input_blocks.1.0.in_layers.2.scale_weight"):
        save_file(whole | {name: torch.ones(1)}, tmp_path / "m.safetensors")
        with pytest.raises(CatalogError, match="scaled fp8"):
            loading.load(str(tmp_path / "m.safetensors"), CPU)
        with pytest.raises(CatalogError, match="scaled fp8"):
            loading.load(ModelFiles(source=str(sd_folder), unet=str(tmp_path / "m.safetensors")), CPU)


def test_a_file_without_a_vae_takes_the_catalogs(sd_folder: Path, tmp_path: Path) -> None:
    file = rewritten(
        original_layout.write(sd_folder, tmp_path / "m.safetensors"), without=["first_stage_model."]
    )
    layout(tmp_path / "m", of=sd_folder)
    with pytest.raises(
        CatalogError, match=r"it holds no VAE, nor does a folder beside it: name one with `vae`"
    ):
        loading.load(str(file), CPU)
    expected = Pipeline(sd_folder).draw(asked())
    assert difference(drawn(file, vae=str(sd_folder / "vae")), expected) <= 1
    shutil.copytree(sd_folder / "vae", tmp_path / "m" / "vae", dirs_exist_ok=True)
    assert difference(drawn(file), expected) <= 1


def test_a_file_without_text_encoders_takes_those_beside_it(xl_folder: Path, tmp_path: Path) -> None:
    file = rewritten(original_layout.write(xl_folder, tmp_path / "m.safetensors"), without=["conditioner."])
    layout(tmp_path / "m", of=xl_folder)
    with pytest.raises(
        CatalogError, match=r"it holds no text encoder, nor does a folder .* name it with `unet`"
    ):
        loading.load(str(file), CPU)
    expected = Pipeline(xl_folder).draw(asked())
    assert difference(drawn(xl_folder, unet=str(file)), expected) <= 1
    for part in ("text_encoder", "text_encoder_2"):
        shutil.copytree(xl_folder / part, tmp_path / "m" / part, dirs_exist_ok=True)
    assert difference(drawn(file), expected) <= 1
