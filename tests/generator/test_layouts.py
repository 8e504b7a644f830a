"""The layouts that ship with Easel describe the published checkpoints, tensor for tensor."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders import single_file_utils
from diffusers.loaders.single_file_utils import CHECKPOINT_KEY_NAMES
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from generator.families import checkpoints, clip_vocabulary, pipelines, schedulers, single_files
from generator.families.checkpoints import LAYOUTS
from generator.families.sd import StableDiffusion
from storage.catalog_files import ModelFiles
from storage.samplers import ZERO_SNR
from tests.generator import header_only, original_layout

NAMES = sorted(folder.name for folder in LAYOUTS.iterdir() if folder.name != "clip")
UNET_WEIGHTS = {
    "sd-1.5": 859_520_964,
    "sd-1.5-inpainting": 859_535_364,
    "sd-2-base": 865_910_724,
    "sd-2-inpainting": 865_925_124,
    "sd-2.1-768": 865_910_724,
    "sdxl-base": 2_567_463_684,
    "sdxl-inpainting": 2_567_478_084,
}
"""Numbers in the published UNets."""
TEXT_WEIGHTS = {768: 123_060_480, 1024: 340_387_840, 1280: 694_659_840}
"""Numbers in the published text encoders, by width: CLIP-L, OpenCLIP-H without its last layer, -bigG."""
VAE_WEIGHTS = 83_653_863


def config(name: str, part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((LAYOUTS / name / part / "config.json").read_text(encoding="utf-8"))
    return found


def text_encoder(name: str, part: str) -> Any:
    kind = CLIPTextModelWithProjection if part == "text_encoder_2" else CLIPTextModel
    return kind(CLIPTextConfig(**config(name, part)))


def text_parts(name: str) -> list[str]:
    return sorted(folder.name for folder in (LAYOUTS / name).glob("text_encoder*"))


@functools.cache
def original(name: str) -> dict[str, Tensor]:
    """The whole checkpoint of full size, of no numbers, under its published names."""
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config(name, "unet"))
        vae = AutoencoderKL.from_config(config(name, "vae"))
        encoders = {part: text_encoder(name, part) for part in text_parts(name)}
        file = original_layout.checkpoint(unet, vae, encoders, open_clip=name.startswith("sd-2"))
        return {**file, **(last_layer(file) if name.startswith("sd-2") else {})}


def last_layer(file: dict[str, Tensor]) -> dict[str, Tensor]:
    """OpenCLIP's last layer and projection, which are in the files of Stable Diffusion 2, and unused."""
    begin = "cond_stage_model.model."
    last = {name.replace(".22.", ".23."): each for name, each in file.items() if ".resblocks.22." in name}
    return last | {f"{begin}text_projection": torch.empty(1024, 1024), f"{begin}logit_scale": torch.empty(())}


def numbers(weights: Any) -> int:
    return sum(weight.numel() for weight in weights)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_checkpoint_fills_every_tensor_of_its_layout(name: str) -> None:
    file = original(name)
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config(name, "unet"))
        vae = AutoencoderKL.from_config(config(name, "vae"))
    converted = single_file_utils.convert_ldm_unet_checkpoint(file, config(name, "unet"))
    assert shapes(converted) == shapes(unet.state_dict())
    assert len(converted) == {1: 686, 2: 1680}.get(len(text_parts(name)), 0) or name == "sdxl-refiner"
    assert numbers(converted.values()) == UNET_WEIGHTS.get(name, numbers(unet.parameters()))
    converted = single_file_utils.convert_ldm_vae_checkpoint(file, config(name, "vae"))
    assert shapes(converted) == shapes(vae.state_dict())
    assert numbers(converted.values()) == VAE_WEIGHTS


@pytest.mark.parametrize("name", NAMES)
def test_a_published_checkpoint_fills_its_text_encoders(name: str) -> None:
    file = original(name)
    for part in text_parts(name):
        with torch.device("meta"):
            encoder = text_encoder(name, part)
        prefix = {
            "text_encoder_2": "conditioner.embedders.1.model.",
            "text_encoder": "cond_stage_model.model.",
        }[part]
        if name == "sdxl-refiner":
            prefix = "conditioner.embedders.0.model."
        if any(key.startswith(prefix) for key in file):
            found = single_file_utils.convert_open_clip_checkpoint(encoder, file, prefix)
        else:
            found = single_file_utils.convert_ldm_clip_checkpoint(file)
        wrapped = any(key.startswith("text_model.") for key in encoder.state_dict())
        plain = {key if wrapped else key.removeprefix("text_model."): each for key, each in found.items()}
        plain = {key: each for key, each in plain.items() if not key.endswith("position_ids")}
        assert shapes(plain) == shapes(encoder.state_dict())
        assert numbers(encoder.parameters()) == TEXT_WEIGHTS[encoder.config.hidden_size]


PIPELINES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sd": (StableDiffusionPipeline, dict(StableDiffusion.load_arguments)),
    "sdxl": (StableDiffusionXLPipeline, {}),
    "sdxl-refiner": (StableDiffusionXLImg2ImgPipeline, {}),
}


@pytest.mark.parametrize(
    "name",
    ["sd-1.5", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in NAMES if name != "sd-1.5")],
)
def test_a_file_of_full_size_is_loaded(name: str, tmp_path: Path) -> None:
    """Its numbers are all nought, and take no room."""
    told = {"modelspec.prediction_type": "v" if name == "sd-2.1-768" else "epsilon"}
    file = header_only.write(tmp_path / "file.safetensors", shapes(original(name)), told)
    kind, arguments = PIPELINES.get(name) or PIPELINES[name.partition("-")[0]]
    files = ModelFiles(source=str(file))
    pipeline = pipelines.load(kind, files, torch.device("cpu"), torch.float16, **arguments)
    assert numbers(pipeline.unet.parameters()) == UNET_WEIGHTS.get(name, 2_259_526_660)
    assert pipeline.unet.config.sample_size == config(name, "unet")["sample_size"]
    expected = "v_prediction" if name == "sd-2.1-768" else "epsilon"
    assert pipeline.scheduler.config.prediction_type == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_published_checkpoint_is_known_by_its_header(name: str, tmp_path: Path) -> None:
    file = header_only.write(tmp_path / "file.safetensors", shapes(original(name)))
    read = checkpoints.read(str(file))
    assert read.layout("epsilon" if "base" in name else None) == LAYOUTS / name
    assert read.parts == {"vae", *text_parts(name)}
    index = json.loads((LAYOUTS / name / "model_index.json").read_text())
    assert {part for part, (library, _) in networks(index) if library} == {"unet", *read.parts}
    assert read.unet_tensors == len([key for key in original(name) if key.startswith(checkpoints.UNET)])


def test_the_names_are_those_by_which_diffusers_knows_each_kind() -> None:
    known = {"sd-1.5": "v1", "sd-2-base": "v2", "sdxl-base": "xl_base", "sdxl-refiner": "xl_refiner"}
    for name, kind in known.items():
        assert CHECKPOINT_KEY_NAMES[kind] in original(name)
        assert single_file_utils.infer_diffusers_model_type(original(name)) == kind


@pytest.mark.parametrize("name", NAMES)
def test_samplers_of_a_shipped_schedule_heed_what_is_told_of_noise(name: str) -> None:
    """diffusers takes its own default for whatever a scheduler's config does not name."""
    index = json.loads((LAYOUTS / name / "model_index.json").read_text())
    kind = getattr(diffusers, index["scheduler"][1])
    pipeline = SimpleNamespace(scheduler=kind.from_pretrained(LAYOUTS / name, subfolder="scheduler"))
    told = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    single_files.change_noise(pipeline, **told)
    for sampler in ZERO_SNR:
        config = schedulers.build(sampler, pipeline.scheduler.config).config
        assert {key: config[key] for key in told} == told, sampler


def networks(index: dict[str, Any]) -> list[tuple[str, list[str]]]:
    parts = ("unet", "vae", "text_encoder", "text_encoder_2")
    return [(part, index[part]) for part in parts if part in index]


def shapes(weights: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in weights.items()}


TEXTS = [
    "a photo of a cat",
    "",
    "Masterpiece, BEST quality, 1girl's 4k!!! (detailed:1.2) [x] <lora:ink:1>",
    "ein Schloß über dem Meer, naïve café, 红色的城堡 在海边, красный замок 🏰🔥",
    "it's they're we'll I'd you've I'm — «quotes» … 1234567890 %$#@ https://example.org/a_b-c",
    "antidisestablishmentarianism supercalifragilisticexpialidocious   spaces\tand\nlines",
]


@pytest.fixture(scope="module")
def open_clip() -> ModuleType:
    """open_clip's own tokenizer; its package as a whole needs torchvision."""
    package = importlib.util.find_spec("open_clip")
    if package is None or not package.submodule_search_locations:
        pytest.skip("open-clip-torch is not installed")
    file = Path(package.submodule_search_locations[0]) / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokenizer_reads_as_open_clips(open_clip: ModuleType, text: str) -> None:
    tokens = clip_vocabulary.tokenizer(LAYOUTS / "sd-1.5" / "tokenizer")
    expected = [49406, *open_clip.SimpleTokenizer().encode(text), 49407]
    assert tokens(text).input_ids == expected


def test_the_tokenizer_is_the_published_one() -> None:
    tokens = clip_vocabulary.tokenizer(LAYOUTS / "sd-1.5" / "tokenizer")
    assert tokens("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert len(tokens) == 49408
    assert tokens.model_max_length == 77


@pytest.mark.parametrize(
    ("layout", "folder", "pad"),
    [
        *[("sd-1.5", "tokenizer", 49407), ("sd-2.1-768", "tokenizer", 0), ("sd-2-base", "tokenizer", 0)],
        *[("sdxl-base", "tokenizer", 49407), ("sdxl-base", "tokenizer_2", 0)],
    ],
)
def test_each_encoder_fills_up_as_it_was_trained(layout: str, folder: str, pad: int) -> None:
    assert clip_vocabulary.tokenizer(LAYOUTS / layout / folder).pad_token_id == pad
