"""The registry of model families, a line each; their code is imported by workers alone, when it is needed."""

from __future__ import annotations

import difflib
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from storage import samplers, weights_header


class Feature(StrEnum):
    """Abilities that not every family has; the last three are named like the catalog's tables of them."""

    TILING = "tiling"
    """Images whose opposite edges meet."""
    LORAS = "loras"
    CONTROLS = "controls"
    ADAPTERS = "adapters"


class ModelFamily(NamedTuple):
    """A family before its code is imported: where that is, and what members and operators need to know."""

    code: str
    """Its class, as `module:name`: a subclass of `generator.families.base.Family`."""
    samplers: tuple[str, ...]
    """Samplers that it runs, by their names in `storage/samplers.py`; the first is its default."""
    pipelines: str = ""
    """Regular expression for diffusers' names of its pipelines, by which a model's folder is known."""
    denoiser: str = "transformer"
    """Folder of the network whose weights' hash names a model elsewhere."""
    features: frozenset[Feature] = frozenset()
    """Abilities that it has beyond drawing; its class overrides the method of each."""


_STEERED = r"AttendAndExcite|ControlNet|ControlNetPAG|ControlNetUnion|ControlNetXS|DiffEdit|PAG|Panorama|SAG"
_WAYS = rf"({_STEERED})?(Img2Img|Inpaint)?Pipeline(Legacy|Safe)?"
"""Rest of the names of pipelines that draw with the very parts of the plain one."""
_FLOW_SAMPLERS = ("euler", "heun", "dpm++2m", "dpm++2m_sde", "unipc", "lcm")

FAMILIES: dict[str, ModelFamily] = {
    "sd": ModelFamily(
        "generator.families.sd:StableDiffusion",
        samplers.NAMES,
        rf"StableDiffusion{_WAYS}|LatentConsistencyModel(Img2Img)?Pipeline",
        "unet",
        frozenset(Feature),
    ),
    "sdxl": ModelFamily(
        "generator.families.sdxl:StableDiffusionXL",
        samplers.NAMES,
        rf"StableDiffusionXL{_WAYS}",
        "unet",
        frozenset(Feature),
    ),
    "zimage": ModelFamily(
        "generator.families.zimage:ZImage", _FLOW_SAMPLERS, r"ZImage(Img2Img|Inpaint)?Pipeline"
    ),
    "flux2_klein": ModelFamily(
        "generator.families.flux2_klein:Flux2Klein", _FLOW_SAMPLERS, r"Flux2Klein(Inpaint)?Pipeline"
    ),
    "qwen_image": ModelFamily(
        "generator.families.qwen_image:QwenImage", _FLOW_SAMPLERS, r"QwenImage(Img2Img|Inpaint)?Pipeline"
    ),
}


def known(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: there is no family of this name.
    """
    if name not in FAMILIES:
        near = difflib.get_close_matches(name, FAMILIES, n=1)
        raise ValueError(
            f"there is no family {name!r}: "
            + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FAMILIES)}")
        )
    return name


def of_source(source: str) -> str | None:
    """Name of the family of a model on this machine, a folder or a single file; None where none is told."""
    return _of_file(Path(source)) if source.endswith(".safetensors") else of_folder(source)


def _of_file(file: Path) -> str | None:
    """By the text encoders' names: those of XL have several in one table."""
    try:
        names = weights_header.read(file).shapes
    except (OSError, ValueError):
        return None
    if any(name.startswith("conditioner.embedders.") for name in names):
        return "sdxl"
    return "sd" if any(name.startswith("cond_stage_model.") for name in names) else None


def of_folder(source: str) -> str | None:
    """Name of the family of a model in a folder of this machine; None where none is told there."""
    try:
        index = json.loads((Path(source) / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    kind = index.get("_class_name") if isinstance(index, dict) else None
    return of_pipeline(kind) if isinstance(kind, str) else None


def of_pipeline(pipeline: str) -> str | None:
    """Name of the family whose pipelines are called like this one; None where there is none."""
    return next(
        (
            name
            for name, family in FAMILIES.items()
            if family.pipelines and re.fullmatch(family.pipelines, pipeline)
        ),
        None,
    )
