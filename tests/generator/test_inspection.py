"""Models as people have them, row by row: named, and drawn with or refused with a sentence that says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from generator.families import loading
from generator.families.sd import StableDiffusion
from generator.inspection import acceptance, inspecting, pipeline_names
from generator.inspection.inspected import Inspection, Kind
from generator.inspection.single_networks import DRAWN
from storage import model_families
from storage.catalog_files import ModelFiles
from storage.errors import CatalogError
from tests.generator import original_layout, sparse_weights, tiny

CPU = torch.device("cpu")


def refused(source: Path, key: str = "source") -> str:
    """The reason why Easel does not take it."""
    reason = acceptance.refusal(inspecting.inspect(str(source)), key)
    assert reason is not None
    return reason


def taken(source: Path, key: str = "source") -> Inspection:
    found = inspecting.inspect(str(source))
    assert acceptance.refusal(found, key) is None
    return found


def edited(model: Path, folder: Path, file: str, **changes: Any) -> Path:
    """A copy of a model's configurations and weights, with other values in one file of JSON."""
    copy = Path(shutil.copytree(model, folder / "edited", dirs_exist_ok=True))
    kept = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps(kept | changes))
    return copy


def of_class(folder: Path, kind: str) -> Path:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    return folder


@pytest.mark.parametrize(
    ("model", "name", "prediction"),
    [
        ("sd_folder", "Stable Diffusion 1.x or 2.x model", "epsilon"),
        ("sd2_folder", "Stable Diffusion 1.x or 2.x model", "v_prediction"),
        ("sdxl_folder", "Stable Diffusion XL model", "epsilon"),
        ("inpainting_folder", "Stable Diffusion 1.x or 2.x model for inpainting", "epsilon"),
        ("picturebook_folder", "Stable Diffusion 1.x or 2.x model", "v_prediction"),
    ],
)
def test_a_folder_that_is_drawn_with_is_told(
    request: pytest.FixtureRequest, model: str, name: str, prediction: str
) -> None:
    folder: Path = request.getfixturevalue(model)
    found = taken(folder)
    assert (found.kind, found.name, found.layout) == (Kind.MODEL, f"a {name}", "diffusers folder")
    told = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())["prediction_type"]
    assert found.prediction == (told, "its scheduler_config.json")
    assert prediction == told or model == "picturebook_folder"
    parts = [part for part in ("unet", "vae", "text_encoder", "text_encoder_2") if (folder / part).is_dir()]
    weights = [file for part in parts for file in (folder / part).glob("*.safetensors")]
    assert found.size_bytes == sum(file.stat().st_size for file in weights)
    assert found.parameters == sum(w.numel() for file in weights for w in load_file(file).values())
    assert found.precision in ("fp32", "fp16")


def test_a_folder_of_fp16_files_alone_is_told(sd_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sd_folder, tmp_path / "half"))
    for file in [*folder.glob("*/model.safetensors"), *folder.glob("*/diffusion_pytorch_model.safetensors")]:
        half = {name: weight.half() for name, weight in load_file(file).items()}
        save_file(half, file.with_suffix(".fp16.safetensors"))
        file.unlink()
    found = taken(folder)
    assert (found.precision, found.parameters) == ("fp16", taken(sd_folder).parameters)


PUBLISHED = {
    "FluxPipeline": "a FLUX.1 model",
    "FluxKontextPipeline": "a FLUX.1 model",
    "Flux2Pipeline": "a FLUX.2 model",
    "StableDiffusion3Pipeline": "a Stable Diffusion 3 model",
    "SanaPipeline": "a Sana model",
    "PixArtSigmaPipeline": "a PixArt-Σ model",
    "Lumina2Pipeline": "a Lumina 2 model",
    "ChromaPipeline": "a Chroma model",
    "StableCascadeDecoderPipeline": "a Stable Cascade model",
    "StableCascadePriorPipeline": "a Stable Cascade prior",
    "WuerstchenCombinedPipeline": "a Würstchen model",
    "HunyuanDiTPipeline": "a Hunyuan-DiT model",
    "AuraFlowPipeline": "an AuraFlow model",
    "IFPipeline": "a DeepFloyd IF model",
    "AmusedPipeline": "an aMUSEd model",
    "UnCLIPPipeline": "an unCLIP model (as DALL·E 2 is)",
    "KandinskyV22Pipeline": "a Kandinsky 2.2 model",
    "KandinskyV22PriorPipeline": "a Kandinsky 2.2 prior",
    "KandinskyV22PriorEmb2EmbPipeline": "a Kandinsky 2.2 prior",
    "Kandinsky3Pipeline": "a Kandinsky 3 model",
    "StableUnCLIPImg2ImgPipeline": "a Stable unCLIP model",
    "StableDiffusionInstructPix2PixPipeline": "an InstructPix2Pix model",
    "StableDiffusionXLInstructPix2PixPipeline": "an InstructPix2Pix XL model",
    "StableDiffusionDepth2ImgPipeline": "a depth-to-image model",
    "StableDiffusionUpscalePipeline": "a Stable Diffusion x4 upscaler",
    "AnimateDiffSDXLPipeline": "an AnimateDiff model",
    "KolorsPipeline": "a Kolors model",
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_folder_of_another_kind_is_named(tmp_path: Path, kind: str) -> None:
    said = f"it is {PUBLISHED[kind]}: Easel draws with {DRAWN}"
    assert refused(of_class(tmp_path, kind)) == said
    with pytest.raises(CatalogError) as told:
        loading.load(str(tmp_path), CPU)
    assert str(told.value) == f"The model at {tmp_path} cannot be loaded: {said}."
    with pytest.raises(CatalogError, match="Easel draws with"):  # whatever the catalog states
        loading.load(ModelFiles(source=str(tmp_path), family="sd"), CPU)


BASES = ("AutoPipeline", "ModularPipeline", "ConditionalPipeline", "SequentialPipeline", "LoopSequential")


def test_every_pipeline_of_diffusers_is_named_or_drawn_with() -> None:
    classes = [name for name in dir(diffusers) if name.endswith("Pipeline") and not name.startswith(BASES)]
    classes.remove("DiffusionPipeline")
    assert len(classes) > 250
    unnamed = [
        name
        for name in classes
        if not model_families.of_pipeline(name) and pipeline_names.of_class(name) is None
    ]
    of_parts = {name for name in unnamed if name.startswith("StableDiffusion")}
    assert set(unnamed) == of_parts
    assert len(of_parts) < 20


@pytest.mark.parametrize(
    "kind", ["EvilPipeline", "MyStableDiffusionPipeline", "StableDiffusionMyOwnPipeline"]
)
def test_a_class_of_nobodys_is_refused_unless_the_catalog_states_its_family(
    sd_folder: Path, tmp_path: Path, kind: str
) -> None:
    folder = edited(sd_folder, tmp_path, "model_index.json", _class_name=kind)
    said = f"it is a model of the class {kind}, which Easel does not know"
    assert refused(folder).startswith(said)
    with pytest.raises(CatalogError, match=said):
        loading.load(str(folder), CPU)
    assert isinstance(loading.load(ModelFiles(source=str(folder), family="sd"), CPU), StableDiffusion)


FLAWS: list[tuple[str, str, dict[str, Any], str]] = [
    ("sd", "unet/config.json", {"in_channels": 8}, "8 input channels (the picture that it edits besides)"),
    ("sd", "unet/config.json", {"in_channels": 5}, "5 input channels (a map of depths besides)"),
    ("sd", "unet/config.json", {"in_channels": 7}, "7 input channels (the small picture"),
    ("sd", "unet/config.json", {"in_channels": 13}, "13 input channels, and Easel draws with"),
    ("sd", "unet/config.json", {"class_embed_type": "projection"}, "class embeddings, as a Stable unCLIP"),
    ("sd", "unet/config.json", {"num_class_embeds": 1000}, "class embeddings"),
    ("sd", "unet/config.json", {"encoder_hid_dim_type": "text_proj"}, "a layer of its own (text_proj)"),
    (
        "sd",
        "model_index.json",
        {"unet": ["diffusers", "UNetMotionModel"]},
        "its denoiser is of the class UNetMotionModel",
    ),
    ("sd", "model_index.json", {"text_encoder": ["transformers", "BertModel"]}, "words by BertModel"),
    ("sd", "vae/config.json", {"_class_name": "AutoencoderTiny"}, "its VAE is a TAESD"),
    ("sd", "vae/config.json", {"_class_name": "AutoencoderDC"}, "its VAE is of the class AutoencoderDC"),
    ("sd", "vae/config.json", {"latent_channels": 16}, "16 latent channels"),
    ("xl", "vae/config.json", {"latents_mean": [0.1] * 4}, "as Playground 2.5's"),
    (
        *("xl", "scheduler/scheduler_config.json", {"_class_name": "EDMDPMSolverMultistepScheduler"}),
        "EDM noise schedule (EDMDPMSolverMultistepScheduler), as Playground 2.5 and CosXL",
    ),
    ("xl", "scheduler/scheduler_config.json", {"_class_name": "EDMEulerScheduler"}, "EDM noise schedule"),
    (
        *("sd", "scheduler/scheduler_config.json", {"_class_name": "FlowMatchEulerDiscreteScheduler"}),
        "FlowMatchEulerDiscreteScheduler, is none of a diffusion model",
    ),
    ("xl", "model_index.json", {"requires_aesthetics_score": True}, "a Stable Diffusion XL refiner"),
    ("xl", "model_index.json", {"text_encoder": [None, None]}, "name it as the `refiner` of a model"),
]


@pytest.mark.parametrize(("model", "file", "changes", "said"), FLAWS)
def test_a_folder_that_would_be_drawn_wrongly_is_refused_before_it_is_loaded(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, file: str, changes: dict[str, Any], said: str
) -> None:
    folder: Path = request.getfixturevalue("sd_folder" if model == "sd" else "sdxl_folder")
    damaged = edited(folder, tmp_path, file, **changes)
    assert said in refused(damaged)
    with pytest.raises(CatalogError) as told:
        loading.load(str(damaged), CPU)
    assert said in str(told.value)


@pytest.mark.parametrize("value", ["wide", [4], {"a": 1}, None, -3, True])
@pytest.mark.parametrize("key", ["in_channels", "cross_attention_dim", "_class_name"])
def test_a_configuration_of_anything_is_told(sd_folder: Path, tmp_path: Path, key: str, value: Any) -> None:
    folder = edited(sd_folder, tmp_path, "unet/config.json", **{key: value})
    try:
        said = acceptance.sentence(inspecting.inspect(str(folder)))
    except CatalogError as error:
        said = str(error)
    assert str(folder) in said


@pytest.fixture(scope="module")
def sd_file(sd_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return original_layout.write(sd_folder, tmp_path_factory.mktemp("file") / "sd.safetensors")


@pytest.fixture(scope="module")
def xl_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.make_sdxl(tmp_path_factory.mktemp("xl") / "xl", second_width=48)
    return original_layout.write(folder, folder.with_suffix(".safetensors"))


Weights = dict[str, torch.Tensor]


def changed(file: Path, folder: Path, change: Callable[[Weights], Weights], **metadata: str) -> Path:
    copy = folder / "changed.safetensors"
    save_file({name: w.contiguous() for name, w in change(load_file(file)).items()}, copy, metadata)
    return copy


def marked(*names: str) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {name: torch.zeros(1) for name in names}


def same(weights: Weights) -> Weights:
    return weights


def test_a_single_file_is_told(sd_file: Path, xl_file: Path) -> None:
    for file, family in ((sd_file, "sd"), (xl_file, "sdxl")):
        found = taken(file)
        assert (found.kind, found.base.family, found.layout) == (Kind.MODEL, family, "safetensors")
        assert found.prediction == ("epsilon", "nothing in it that says otherwise")


@pytest.mark.parametrize(
    ("marks", "metadata", "told_by"),
    [
        (["v_pred"], {}, "its tensor `v_pred`"),
        ([], {"modelspec.prediction_type": "v"}, "its `modelspec.prediction_type`"),
        ([], {"ss_base_model_version": "sd_v2_v"}, "what kohya's scripts wrote beside it"),
    ],
)
def test_v_prediction_is_read_where_files_say_it(
    xl_file: Path, tmp_path: Path, marks: list[str], metadata: dict[str, str], told_by: str
) -> None:
    found = taken(changed(xl_file, tmp_path, marked(*marks, "ztsnr"), **metadata))
    assert found.prediction == ("v_prediction", told_by)
    assert found.zero_snr
    assert not taken(xl_file).zero_snr


@pytest.mark.parametrize(
    ("marks", "name"),
    [(["edm_mean", "edm_std"], "Playground 2.5"), (["edm_vpred.sigma_max", "edm_vpred.sigma_min"], "CosXL")],
)
def test_an_edm_file_is_refused_by_its_name(
    xl_file: Path, tmp_path: Path, marks: list[str], name: str
) -> None:
    file = changed(xl_file, tmp_path, marked(*marks))
    assert f"it is a {name} model: it was trained with an EDM noise schedule" in refused(file)
    with pytest.raises(CatalogError, match=name):
        loading.load(str(file), CPU)


def first_reads(channels: int) -> Callable[[Weights], Weights]:
    name = "model.diffusion_model.input_blocks.0.0.weight"
    return lambda weights: weights | {name: torch.zeros(weights[name].shape[0], channels, 3, 3)}


CHANGES: list[tuple[Callable[[Weights], Weights], str]] = [
    (
        first_reads(8),
        "an InstructPix2Pix model of Stable Diffusion 1.x or 2.x: its UNet has 8 input channels",
    ),
    (first_reads(5), "a depth-to-image model of Stable Diffusion 1.x or 2.x: its UNet has 5"),
    (first_reads(7), "a Stable Diffusion x4 upscaler: its UNet has 7"),
    (marked("model.diffusion_model.label_emb.0.0.weight"), "class embeddings, as a Stable unCLIP"),
    (marked("model.diffusion_model.out.2.scale_weight"), "its weights are scaled fp8 (ComfyUI's)"),
    (marked("scaled_fp8"), "its weights are scaled fp8"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_file_that_would_be_drawn_wrongly_is_refused(
    sd_file: Path, tmp_path: Path, change: Callable[[Weights], Weights], said: str
) -> None:
    file = changed(sd_file, tmp_path, change)
    assert said in refused(file)
    with pytest.raises(CatalogError) as told:
        loading.load(str(file), CPU)
    assert said in str(told.value)


def test_a_file_for_inpainting_is_told(sd_file: Path, tmp_path: Path) -> None:
    assert taken(changed(sd_file, tmp_path, first_reads(9))).name.endswith("model for inpainting")


def only(*begins: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: w for name, w in weights.items() if name.startswith(begins)}


def test_a_part_alone_is_told_where_it_belongs(sd_file: Path, xl_file: Path, tmp_path: Path) -> None:
    unet = changed(xl_file, tmp_path, only("model."))
    assert refused(unet) == (
        "it is the UNet of a Stable Diffusion XL model, and this is to be a whole model: name it as the"
        " `unet` of a model whose `source` has the rest"
    )
    assert taken(unet, "unet").kind is Kind.DENOISER
    vae = changed(sd_file, tmp_path, only("first_stage_model."))
    assert "it is a VAE, and this is to be a whole model: name it as the `vae` of a model" in refused(vae)
    assert taken(vae, "vae").kind is Kind.VAE
    assert "a CLIP text encoder, and" in refused(changed(sd_file, tmp_path, only("cond_stage_model.")))
    both = changed(sd_file, tmp_path, only("model.", "first_stage_model."))
    assert taken(both, "unet").missing == ("text encoder",)


def test_an_xl_refiner_in_one_file_is_told(xl_file: Path, tmp_path: Path) -> None:
    def refiner(weights: Weights) -> Weights:
        second = "conditioner.embedders.1.model."
        becomes = "conditioner.embedders.0.model."
        renamed = {n.replace(second, becomes): w for n, w in weights.items()}
        first = "conditioner.embedders.0.transformer."
        return {n: w for n, w in renamed.items() if not n.startswith(first)}

    file = changed(xl_file, tmp_path, refiner)
    assert "it is a Stable Diffusion XL refiner, and" in refused(file)
    assert taken(file, "refiner").kind is Kind.REFINER


@pytest.mark.parametrize(
    ("config", "width", "name"),
    [
        ({}, 768, "the UNet of a Stable Diffusion 1.x model"),
        ({"attention_head_dim": [5, 10, 20, 20]}, 1024, "the UNet of a Stable Diffusion 2.x model"),
        ({"in_channels": 9}, 768, "the UNet of a Stable Diffusion 1.x model for inpainting"),
    ],
)
def test_unets_of_published_sizes_are_named(
    tmp_path: Path, config: dict[str, Any], width: int, name: str
) -> None:
    shapes = sparse_weights.shapes_of(diffusers.UNet2DConditionModel, cross_attention_dim=width, **config)
    found = taken(sparse_weights.write(tmp_path / "u.safetensors", shapes), "unet")
    assert (found.name, found.precision, found.base.width) == (name, "fp16", width)
    assert 850_000_000 < found.parameters < 870_000_000
