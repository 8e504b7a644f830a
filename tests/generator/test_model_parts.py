"""Parts that the catalog names by files of their own, and keys that say how a model was trained."""

from __future__ import annotations

import hashlib
import json
import shutil
from inspect import signature
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from generator.engine.engine import Engine
from generator.families import loading, schedulers
from generator.families.checkpoints import UNET
from generator.worker.weight_hashes import hashes_of
from storage import file_hashes
from storage.catalog import Catalog
from storage.catalog_files import ModelFiles
from storage.errors import CatalogError
from storage.samplers import ZERO_SNR
from tests.generator import original_layout, tiny
from tests.generator.drawing import asked, drawn, entry, layout, marked, scheduled
from tests.generator.reference import Pipeline, difference

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Which text encoder of a file is which, diffusers knows by their widths."""
    return tiny.make_sdxl(tmp_path_factory.mktemp("xl") / "xl", second_width=48)


@pytest.mark.parametrize("key", [True, False])
def test_pure_noise_is_drawn_from_by_samplers_that_can(sd2_folder: Path, tmp_path: Path, key: bool) -> None:
    told = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    folder = scheduled(sd2_folder, tmp_path / "zero", **told)
    source, keys = (sd2_folder, {"zero_snr": True}) if key else (folder, {})
    expected = Pipeline(folder)
    for sampler in ("euler", "unipc", "lcm"):
        wish = asked(scheduler=sampler)
        assert difference(drawn(source, wish, **keys), expected.draw(wish)) <= 1
    assert "heun" not in entry(source, **keys).samplers
    assert "heun" in entry(sd2_folder).samplers
    with pytest.raises(ValueError, match="scheduler: heun is none of those"):
        entry(source, scheduler="heun", **keys)
    with Engine.open(str(source), device="cpu", entry=entry(source, **keys)) as engine:
        error = engine.submit(asked(scheduler="heun")).exception()
    assert "the model cannot draw with 'heun', but with ddim, ddpm, euler" in str(error)


def test_those_samplers_are_diffusers() -> None:
    can = {
        name
        for name, sampler in schedulers.TABLE.items()
        if "rescale_betas_zero_snr" in signature(sampler.scheduler).parameters
    }
    assert can == ZERO_SNR


def test_a_file_says_which_samplers_it_has(xl_folder: Path, tmp_path: Path) -> None:
    """The bot knows it without torch."""
    file = marked(xl_folder, tmp_path / "mine.safetensors", "v_pred", "ztsnr")
    assert "lms" not in entry(file).samplers
    assert "lms" in entry(file, zero_snr=False).samplers
    with pytest.raises(ValueError, match="zero_snr: it is for v_prediction"):
        entry(file, zero_snr=True, prediction_type="epsilon")


@pytest.mark.parametrize(
    ("names", "base"),
    [
        *[("diffusers", "folder"), ("plain", "file")],
        pytest.param("prefixed", "folder", marks=pytest.mark.exhaustive),
        pytest.param("diffusers", "file", marks=pytest.mark.exhaustive),
        pytest.param("plain", "folder", marks=pytest.mark.exhaustive),
    ],
)
def test_a_unet_alone_is_drawn_with_over_a_base(
    xl_folder: Path, tmp_path: Path, names: str, base: str
) -> None:
    """As Lightning's: in diffusers' names or the first Stable Diffusion's, with and without their prefix."""
    other = tiny.make_sdxl(tmp_path / "other", second_width=48, seed=9)
    unet = tmp_path / "unet.safetensors"
    if names == "diffusers":
        shutil.copy(other / "unet" / "diffusion_pytorch_model.safetensors", unet)
    else:
        kept = load_file(original_layout.write(other, tmp_path / "whole.safetensors"))
        plain = {name.removeprefix(UNET): each for name, each in kept.items() if name.startswith(UNET)}
        save_file({UNET * (names == "prefixed") + name: each for name, each in plain.items()}, unet)
    source = xl_folder
    if base == "file":
        source = original_layout.write(xl_folder, tmp_path / "base.safetensors")
        layout(tmp_path / "base", of=xl_folder)
    expected = Pipeline(xl_folder)
    expected.pipeline.unet = UNet2DConditionModel.from_pretrained(other, subfolder="unet")
    drawing = expected.draw(asked())
    assert difference(drawn(source, unet=str(unet)), drawing) <= 1
    if base == "folder" and names == "diffusers":
        assert difference(drawn(source, unet=str(other)), drawing) <= 1
    with pytest.raises(CatalogError, match="name it as the `unet` of a model whose `source` has the rest"):
        loading.load(str(unet), CPU)


def test_a_unet_of_another_kind_is_refused(sd_folder: Path, xl_folder: Path, tmp_path: Path) -> None:
    unet = Path(
        shutil.copy(sd_folder / "unet" / "diffusion_pytorch_model.safetensors", tmp_path / "u.safetensors")
    )
    with pytest.raises(CatalogError, match=r"u\.safetensors cannot be loaded: it holds no unet that fits"):
        loading.load(ModelFiles(source=str(xl_folder), unet=str(unet)), CPU)
    vae = Path(
        shutil.copy(sd_folder / "vae" / "diffusion_pytorch_model.safetensors", tmp_path / "v.safetensors")
    )
    with pytest.raises(CatalogError, match=r"v\.safetensors cannot be used: it is a VAE, and this is"):
        loading.load(ModelFiles(source=str(xl_folder), unet=str(vae)), CPU)


def test_a_unet_for_other_words_is_refused(sd_folder: Path, xl_folder: Path) -> None:
    with pytest.raises(CatalogError, match="its UNet reads words of 80 numbers, and its text"):
        loading.load(ModelFiles(source=str(sd_folder), unet=str(xl_folder)), CPU)


def test_parts_with_what_easel_has_not_are_refused(sd_folder: Path, tmp_path: Path) -> None:
    edits = tiny.make_sd(tmp_path / "edits", in_channels=8)
    with pytest.raises(
        CatalogError, match=r"`unet` at .*unet cannot be used: it is the UNet of an InstructPix2Pix"
    ):
        loading.load(ModelFiles(source=str(sd_folder), unet=str(edits)), CPU)
    config = json.loads((edits / "vae" / "config.json").read_text())
    (edits / "vae" / "config.json").write_text(json.dumps(config | {"latents_mean": [0.0] * 4}))
    with pytest.raises(
        CatalogError, match=r"`vae` at .*vae cannot be used: .* statistics of its own for latents"
    ):
        loading.load(ModelFiles(source=str(sd_folder), vae=str(edits)), CPU)


@pytest.mark.parametrize("form", ["folder", "pipeline", "diffusers", "original", "checkpoint"])
def test_another_vae_is_drawn_with(sd_folder: Path, sd2_folder: Path, tmp_path: Path, form: str) -> None:
    weights = "diffusion_pytorch_model.safetensors"
    places = {"folder": sd2_folder / "vae", "pipeline": sd2_folder, "diffusers": sd2_folder / "vae" / weights}
    vae = places.get(form) or original_layout.write(sd2_folder, tmp_path / "vae.safetensors")
    if form == "original":
        kept = load_file(vae)
        begin = "first_stage_model."
        only = {name.removeprefix(begin): each for name, each in kept.items() if name.startswith(begin)}
        save_file(only, vae)
    expected = Pipeline(sd_folder)
    expected.pipeline.vae = AutoencoderKL.from_pretrained(sd2_folder, subfolder="vae")
    assert difference(drawn(sd_folder, vae=str(vae)), expected.draw(asked())) <= 1


def test_a_vae_of_another_kind_is_refused(sd_folder: Path, tmp_path: Path) -> None:
    AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4).save_pretrained(
        tmp_path / "taesd"
    )
    with pytest.raises(CatalogError, match="taesd cannot be used: it is a TAESD"):
        loading.load(ModelFiles(source=str(sd_folder), vae=str(tmp_path / "taesd")), CPU)
    wide = AutoencoderKL(block_out_channels=[8] * 4, norm_num_groups=4, latent_channels=16)
    wide.save_pretrained(tmp_path / "wide")
    with pytest.raises(CatalogError, match="its VAE has 16 latent channels"):
        loading.load(ModelFiles(source=str(sd_folder), vae=str(tmp_path / "wide")), CPU)


@pytest.mark.parametrize(("model", "skip"), [("sd_folder", 1), ("xl_folder", 1)])
def test_clip_skip_is_the_pipelines(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, model: str, skip: int
) -> None:
    folder: Path = request.getfixturevalue(model)
    # diffusers 0.42 asks for an attribute that transformers 5.6 took away.
    monkeypatch.setattr(CLIPTextModel, "text_model", property(lambda self: self), raising=False)
    wish = asked(negative_prompt="blue")
    expected = Pipeline(folder)
    found = drawn(folder, wish, clip_skip=skip)
    assert difference(found, expected.draw(wish, clip_skip=skip)) <= 1
    assert difference(found, expected.draw(wish)) > 3
    with pytest.raises(CatalogError, match="clip_skip is 2, and its text_encoder has 2 layers"):
        loading.load(ModelFiles(source=str(folder), clip_skip=2), CPU)


@pytest.mark.parametrize("model", ["sd_folder", "xl_folder"])
def test_guidance_rescale_is_the_pipelines_alone_and_among_others(
    request: pytest.FixtureRequest, model: str
) -> None:
    folder: Path = request.getfixturevalue(model)
    wishes = [asked(guidance_scale=9.0), asked(guidance_scale=4.0, seed=8), asked(guidance_scale=1.0, seed=9)]
    expected = Pipeline(folder)
    with Engine.open(str(folder), device="cpu", entry=entry(folder, guidance_rescale=0.7)) as engine:
        alone = engine.submit(wishes[0], alone=True).result()
        futures = engine.device_thread.call(lambda: [engine.submit(each) for each in wishes])
        among = [future.result() for future in futures]
    assert difference(alone, expected.draw(wishes[0], guidance_rescale=0.7)) <= 1
    for found, wish in zip(among, wishes, strict=True):
        assert difference(found, expected.draw(wish, guidance_rescale=0.7)) <= 1
    assert difference(alone, expected.draw(wishes[0])) > 3


def test_a_damaged_file_is_told_by_its_hash(
    sd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_hashes, "_folder", lambda: tmp_path / "hashes")
    layout(tmp_path / "m", of=sd_folder)
    file = original_layout.write(sd_folder, tmp_path / "m.safetensors")
    right = file_hashes.sha256(file)
    loading.load(entry(file, sha256=right.upper()), CPU)
    file_hashes._kept.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(file_hashes, "_read", lambda *_, **__: pytest.fail("read once more"))
        loading.load(entry(file, sha256=right), CPU)
    damaged = bytearray(file.read_bytes())
    damaged[-4000:] = bytes(4000)
    file.write_bytes(damaged)
    with pytest.raises(CatalogError, match=f"and the catalog says {right}: it is damaged, or another file"):
        loading.load(entry(file, sha256=right), CPU)
    with pytest.raises(ValueError, match=r"sha256: it is that of a single file, and .*sd is none"):
        entry(sd_folder, sha256=right)


def test_pictures_carry_the_hash_of_the_unet_that_drew_them(
    sd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_hashes, "_folder", lambda: tmp_path / "hashes")
    unet = tmp_path / "unet.safetensors"
    unet.write_bytes(b"weights")
    named = Catalog(default="m", models={"m": entry(sd_folder, unet=str(unet))})
    found = hashes_of(asked(model="m"), named).model
    assert found == hashlib.sha256(b"weights").hexdigest()[:10]
    plain = Catalog(default="m", models={"m": entry(sd_folder)})
    assert hashes_of(asked(model="m"), plain).model not in {"", found}


@pytest.mark.parametrize("model", ["sd_folder", "xl_folder"])
def test_a_folder_of_half_precision_alone_is_loaded(
    request: pytest.FixtureRequest, tmp_path: Path, model: str
) -> None:
    folder: Path = request.getfixturevalue(model)
    halves = tmp_path / "half"
    whole = DiffusionPipeline.from_pretrained(folder).to(dtype=torch.float16)
    whole.save_pretrained(halves, variant="fp16")
    assert not list(halves.rglob("diffusion_pytorch_model.safetensors"))
    if model == "sd_folder":
        shutil.rmtree(halves / "safety_checker")
        index = halves / "model_index.json"
        index.write_text(json.dumps(json.loads(index.read_text()) | {"safety_checker": [None, None]}))
    rounded = Pipeline(folder)
    rounded.pipeline.to(dtype=torch.float16).to(dtype=torch.float32)
    assert difference(drawn(halves), rounded.draw(asked())) <= 1
