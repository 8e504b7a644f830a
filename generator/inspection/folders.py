"""Folders of whole models in diffusers' layout, told by `model_index.json` and their parts' config.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator.inspection import bases, configs, pipeline_names, weights
from generator.inspection.headers import Header, together
from generator.inspection.inspected import Inspection, Kind, Prediction
from generator.inspection.single_networks import NOT_DRAWN
from generator.inspection.unets import MASKED, flaw_of_config, named_by_channels
from storage import model_families

INDEX = "model_index.json"
_TEXT_ENCODERS = ("CLIPTextModel", "CLIPTextModelWithProjection")
_FLOW = ("FlowMatch", "SCM")
_DENOISERS = ("unet", "transformer")


def of_model(folder: Path, source: str, index: Mapping[str, Any]) -> Inspection:
    """Raises:
    DamagedFile: a file of its weights is; the text names it.
    """
    kind = str(index["_class_name"])
    family = model_families.of_pipeline(kind)
    known = pipeline_names.of_class(kind)
    unet = _config(folder, "unet")
    is_refiner = index.get("requires_aesthetics_score") is True or (
        family == "sdxl" and index.get("text_encoder") == [None, None]
    )
    of_unet = family is not None and model_families.FAMILIES[family].denoiser == "unet"
    base = configs.unet_base(unet) if of_unet else bases.UNKNOWN
    name = named_by_channels(base.name, unet.get("in_channels", 4)) if of_unet else known
    if is_refiner:
        name = "a Stable Diffusion XL refiner"
    scheduler = _config(folder, "scheduler", "scheduler_config.json")
    header = _weights(folder, index)
    return Inspection(
        source=source,
        kind=Kind.REFINER if is_refiner else Kind.MODEL,
        name=name or f"a model of the class {kind}",
        layout="diffusers folder",
        base=base if family is None or base.family == family else base._replace(family=family),
        prediction=_prediction(scheduler),
        zero_snr=scheduler.get("rescale_betas_zero_snr") is True,
        reads_mask=unet.get("in_channels") == MASKED,
        precision=header.precision,
        size_bytes=header.size_bytes,
        parameters=header.parameters,
        flaw=_flaw_of_parts(folder, index, family, unet, scheduler) if family or not known else NOT_DRAWN,
        is_unnamed=family is None and known is None,
    )


def _flaw_of_parts(
    folder: Path,
    index: Mapping[str, Any],
    family: str | None,
    unet: dict[str, Any],
    scheduler: dict[str, Any],
) -> str | None:
    if family is not None and model_families.FAMILIES[family].denoiser != "unet":
        return None
    return (
        flaw_of_config({**unet, "_class_name": _class(index, "unet") or unet.get("_class_name")})
        or _flaw_of_encoder(index)
        or _flaw_of_scheduler(str(scheduler.get("_class_name", "")), scheduler)
        or _flaw_of_vae(index, _config(folder, "vae"))
    )


def _flaw_of_encoder(index: Mapping[str, Any]) -> str | None:
    kind = _class(index, "text_encoder")
    if kind in (None, *_TEXT_ENCODERS):
        return None
    return f"it reads words by {kind}, and Easel by CLIP"


def _flaw_of_scheduler(kind: str, config: dict[str, Any]) -> str | None:
    if kind.startswith("EDM") or (config.get("sigma_data") is not None and "sigma_max" in config):
        return (
            f"it was trained with an EDM noise schedule ({kind}), as Playground 2.5 and CosXL: Easel has none"
        )
    if kind.startswith(_FLOW) or config.get("use_flow_sigmas"):
        return (
            f"its scheduler, {kind}, is none of a diffusion model, and no sampler of Stable Diffusion fits it"
        )
    return None


def _flaw_of_vae(index: Mapping[str, Any], config: dict[str, Any]) -> str | None:
    return configs.flaw_of_vae(config.get("_class_name") or _class(index, "vae") or "AutoencoderKL", config)


def _prediction(scheduler: dict[str, Any]) -> Prediction | None:
    if not scheduler:
        return None
    return Prediction(str(scheduler.get("prediction_type", "epsilon")), "its scheduler_config.json")


def _class(index: Mapping[str, Any], part: str) -> str | None:
    """Class of a part, None where the index names none of a library that is known."""
    match index.get(part):
        case ["diffusers" | "transformers", str(kind)]:
            return kind
    return None


def _config(folder: Path, part: str, name: str = "config.json") -> dict[str, Any]:
    return weights.read_json(folder / part / name) or {}


def _weights(folder: Path, index: Mapping[str, Any]) -> Header:
    """All parts' together, of those that a picture is drawn with."""
    parts = [folder / part for part in index if isinstance(index[part], list) and part != "safety_checker"]
    return together([found for part in parts if (found := weights.of_folder(part)) is not None])
