"""The registry of model families, a line each; their code is imported by workers alone, when it is needed."""

from __future__ import annotations

import re
from typing import NamedTuple

from storage import samplers


class ModelFamily(NamedTuple):
    """What is known of a family before its code and its weights are there."""

    code: str
    """Its class, as `module:name`: a subclass of `generator.families.base.Family`."""
    samplers: tuple[str, ...]
    """Samplers that it runs, by their names in `storage/samplers.py`; the first is its default."""
    pipelines: str = ""
    """Regular expression for diffusers' names of its pipelines, by which a model's folder is known."""
    denoiser: str = "transformer"
    """Folder of the network whose weights' hash names a model elsewhere."""


FAMILIES: dict[str, ModelFamily] = {
    "sd": ModelFamily(
        "generator.families.sd:StableDiffusion", samplers.NAMES, r"StableDiffusion(?!3)(?!.*XL).*", "unet"
    ),
    "sdxl": ModelFamily("generator.families.sdxl:StableDiffusionXL", samplers.NAMES, r".*XL.*", "unet"),
}


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
